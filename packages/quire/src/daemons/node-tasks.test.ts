/** Who lives, by a /proc that the test writes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type TaskFiles, tasksOf } from './node-tasks.ts';

function statOf(start: number, state = 'S'): string {
  return `7 (a) name) ${state} ${'0 '.repeat(18)}${start} 0 0`;
}

class PlayedProc implements TaskFiles {
  readonly texts = new Map<string, string>();
  readonly links = new Map<string, string>();
  code = 'ENOENT';

  /** A process of main thread `pid` and one more, which asks. */
  constructor(pid: number, started: number) {
    this.texts.set('/proc/self//stat', statOf(started));
    this.texts.set('/proc/sys/kernel/random/boot_id', 'boot');
    this.links.set('/proc/self/ns/pid', 'pid:[1]');
    this.links.set('/proc/thread-self', `${pid}/task/${pid + 1}`);
    this.begin(pid, started);
    this.begin(pid + 1, started + 5);
  }

  begin(task: number, started: number, state = 'S'): void {
    this.texts.set(`/proc/self/task/${task}/stat`, statOf(started, state));
  }

  end(task: number): void {
    this.texts.delete(`/proc/self/task/${task}/stat`);
  }

  readText(path: string): string {
    return this.get(this.texts, path);
  }

  readLink(path: string): string {
    return this.get(this.links, path);
  }

  private get(from: ReadonlyMap<string, string>, path: string): string {
    const found = from.get(path);
    if (found === undefined) throw Object.assign(new Error(path), { code: this.code });
    return found;
  }
}

describe('threads by /proc', () => {
  it('live while they are there with the time they began, and are no zombies', () => {
    const proc = new PlayedProc(40, 1000);
    const tasks = tasksOf(proc);
    const { task, start, process } = tasks.self();
    assert.deepEqual([task, start], [41, 1005]);
    assert.equal(tasks.isAlive(40, 1000, process), true);
    assert.equal(tasks.isAlive(40, 1001, process), false);
    assert.equal(tasks.isAlive(42, 1000, process), false);
    proc.begin(42, 1000, 'Z');
    assert.equal(tasks.isAlive(42, 1000, process), false);
  });

  const worlds: Record<string, (proc: PlayedProc) => void> = {
    'restored from an image, with its numbers': (proc) => proc.texts.set('/proc/self//stat', statOf(9000)),
    'on another machine': (proc) => proc.texts.set('/proc/sys/kernel/random/boot_id', 'other'),
    'in another namespace': (proc) => proc.links.set('/proc/self/ns/pid', 'pid:[2]'),
    'under another /proc': (proc) => proc.links.set('/proc/thread-self', '3/task/4'),
    'with no /proc any more': (proc) => proc.links.delete('/proc/thread-self'),
  };
  for (const [name, change] of Object.entries(worlds)) {
    it(`of a process ${name} nobody is known to be dead`, () => {
      const proc = new PlayedProc(40, 1000);
      const tasks = tasksOf(proc);
      const { process } = tasks.self();
      proc.end(40);
      assert.equal(tasks.isAlive(40, 1000, process), false);
      change(proc);
      for (const task of [40, 41, 42]) assert.equal(tasks.isAlive(task, 7, process), true);
    });
  }

  it('are not dead for want of a descriptor, and where little is shown they are told apart all the same', () => {
    const proc = new PlayedProc(40, 1000);
    const tasks = tasksOf(proc);
    const { process } = tasks.self();
    proc.end(40);
    proc.code = 'EMFILE';
    assert.equal(tasks.isAlive(40, 1000, process), true);
    proc.code = 'EACCES';
    proc.texts.delete('/proc/sys/kernel/random/boot_id');
    proc.links.delete('/proc/self/ns/pid');
    const noted = tasks.self().process;
    assert.ok(noted > 0 && noted !== process);
    proc.code = 'ENOENT';
    assert.equal(tasks.isAlive(40, 1000, noted), false);
    assert.equal(tasks.isAlive(40, 1000, process), true);
  });

  it('of no /proc at all are not known', () => {
    const tasks = tasksOf({
      readText: () => assert.fail('no text is asked for'),
      readLink: () => {
        throw Object.assign(new Error('none'), { code: 'ENOENT' });
      },
    });
    assert.deepEqual([tasks.self().task, tasks.self().process], [0, 0]);
  });
});
