/** INFO: sections of `name:value` lines, under the names Redis has for them, and a section `quire` with the store's own counters. */
import { cpus, totalmem } from 'node:os';
import type { Client } from '../client.ts';
import type { Handlers } from '../command-table.ts';
import { humanBytes } from '../memory-size.ts';
import type { Request } from '../resp/request.ts';
import type { ReplyWriter } from '../resp/writer.ts';
import type { Server } from '../server.ts';
import { QUIRE_VERSION, REDIS_VERSION } from '../version.ts';

type Fields = [name: string, value: string | number][];

interface Section {
  title: string;
  /** Shown by a bare INFO. */
  isDefault: boolean;
  fields(server: Server): Fields;
}

const SECTIONS: Record<string, Section> = {
  server: { title: 'Server', isDefault: true, fields: serverFields },
  clients: { title: 'Clients', isDefault: true, fields: clientFields },
  memory: { title: 'Memory', isDefault: true, fields: memoryFields },
  persistence: { title: 'Persistence', isDefault: true, fields: persistenceFields },
  stats: { title: 'Stats', isDefault: true, fields: statsFields },
  replication: { title: 'Replication', isDefault: true, fields: replicationFields },
  cpu: { title: 'CPU', isDefault: true, fields: cpuFields },
  modules: { title: 'Modules', isDefault: true, fields: () => [] },
  commandstats: { title: 'Commandstats', isDefault: false, fields: commandFields },
  errorstats: { title: 'Errorstats', isDefault: true, fields: errorFields },
  cluster: { title: 'Cluster', isDefault: true, fields: () => [['cluster_enabled', 0]] },
  keyspace: { title: 'Keyspace', isDefault: true, fields: keyspaceFields },
  quire: { title: 'Quire', isDefault: true, fields: quireFields },
};

function serverFields(server: Server): Fields {
  const upSeconds = Math.floor((Date.now() - server.startedMs) / 1000);
  return [
    ['redis_version', REDIS_VERSION],
    ['quire_version', QUIRE_VERSION],
    ['redis_git_sha1', '00000000'],
    ['redis_git_dirty', 0],
    ['redis_mode', 'standalone'],
    ['os', `${process.platform} ${process.arch}`],
    ['arch_bits', 64],
    ['node_version', process.version],
    ['cores', cpus().length],
    ['process_id', process.pid],
    ['run_id', server.runId],
    ['tcp_port', server.port],
    ['server_time_usec', Math.round((performance.timeOrigin + performance.now()) * 1000)],
    ['uptime_in_seconds', upSeconds],
    ['uptime_in_days', Math.floor(upSeconds / 86400)],
    ['hz', 10],
    ['configured_hz', 10],
    ['executable', process.execPath],
    ['config_file', ''],
    ['io_threads_active', 0],
  ];
}

function clientFields(server: Server): Fields {
  const clients = server.clients();
  const most = (of: (client: Client) => number) => clients.reduce((max, client) => Math.max(max, of(client)), 0);
  return [
    ['connected_clients', clients.length],
    ['cluster_connections', 0],
    ['maxclients', server.config.maxclients],
    ['client_recent_max_input_buffer', most(({ link }) => link.queryBytes)],
    ['client_recent_max_output_buffer', most(({ link }) => link.replyBytes)],
    ['blocked_clients', 0],
    ['tracking_clients', 0],
    ['clients_in_timeout_table', 0],
    ['clients_held_back_total', server.stats.clientsHeldBack],
  ];
}

function memoryFields(server: Server): Fields {
  const used = server.memoryUsed();
  const rss = process.memoryUsage.rss();
  const peak = server.stats.peakMemoryBytes;
  const { maxmemory, policy } = server.keyspace.evictor;
  const { budget } = server.store;
  const total = totalmem();
  return [
    ['used_memory', used],
    ['used_memory_human', humanBytes(used)],
    ['used_memory_rss', rss],
    ['used_memory_rss_human', humanBytes(rss)],
    ['used_memory_peak', peak],
    ['used_memory_peak_human', humanBytes(peak)],
    ['used_memory_peak_perc', `${(peak === 0 ? 0 : (used / peak) * 100).toFixed(2)}%`],
    ['used_memory_dataset', server.keyspace.bytes],
    ['budget', budget],
    ['budget_human', humanBytes(budget)],
    ['total_system_memory', total],
    ['total_system_memory_human', humanBytes(total)],
    ['maxmemory', maxmemory],
    ['maxmemory_human', humanBytes(maxmemory)],
    ['maxmemory_policy', policy],
    ['mem_fragmentation_ratio', (used === 0 ? 0 : rss / used).toFixed(2)],
    ['mem_allocator', 'quire'],
    ['active_defrag_running', 0],
    ['lazyfree_pending_objects', 0],
  ];
}

/** Nothing is persistent: the swap file is unlinked while open. */
function persistenceFields(server: Server): Fields {
  return [
    ['loading', 0],
    ['async_loading', 0],
    ['rdb_changes_since_last_save', server.keyspace.open().reduce((sum, db) => sum + db.changes, 0)],
    ['rdb_bgsave_in_progress', 0],
    ['rdb_last_save_time', Math.floor(server.startedMs / 1000)],
    ['rdb_last_bgsave_status', 'ok'],
    ['aof_enabled', 0],
    ['aof_rewrite_in_progress', 0],
    ['aof_last_bgrewrite_status', 'ok'],
    ['aof_last_write_status', 'ok'],
  ];
}

function statsFields(server: Server): Fields {
  const { stats, keyspace, dispatcher } = server;
  const rates = stats.rates();
  const sum = (of: 'hits' | 'misses') => keyspace.open().reduce((total, db) => total + db[of], 0);
  return [
    ['total_connections_received', stats.connectionsReceived],
    ['total_commands_processed', dispatcher.commandCount],
    ['instantaneous_ops_per_sec', Math.round(rates.commands)],
    ['total_net_input_bytes', stats.netInputBytes],
    ['total_net_output_bytes', stats.netOutputBytes],
    ['instantaneous_input_kbps', (rates.input / 1024).toFixed(2)],
    ['instantaneous_output_kbps', (rates.output / 1024).toFixed(2)],
    ['rejected_connections', stats.connectionsRejected],
    ['expired_keys', stats.expiredKeys],
    ['evicted_keys', keyspace.evictor.evictedKeys],
    ['keyspace_hits', sum('hits')],
    ['keyspace_misses', sum('misses')],
    ['pubsub_channels', 0],
    ['pubsub_patterns', 0],
    ['unexpected_error_replies', dispatcher.unexpectedErrors],
    ['total_error_replies', server.out.errorCount],
  ];
}

function replicationFields(server: Server): Fields {
  return [
    ['role', 'master'],
    ['connected_slaves', 0],
    ['master_failover_state', 'no-failover'],
    ['master_replid', server.runId],
    ['master_replid2', '0'.repeat(40)],
    ['master_repl_offset', 0],
    ['second_repl_offset', -1],
    ['repl_backlog_active', 0],
  ];
}

function cpuFields(): Fields {
  const { user, system } = process.cpuUsage();
  return [
    ['used_cpu_sys', (system / 1e6).toFixed(6)],
    ['used_cpu_user', (user / 1e6).toFixed(6)],
    ['used_cpu_sys_children', '0.000000'],
    ['used_cpu_user_children', '0.000000'],
  ];
}

/** Calls only: timing each command would cost a tenth of a GET. */
function commandFields(server: Server): Fields {
  const fields: Fields = [];
  for (const { name, calls, rejected, failed } of server.table.all()) {
    if (calls + rejected === 0) continue;
    fields.push([`cmdstat_${name}`, `calls=${calls},rejected_calls=${rejected},failed_calls=${failed}`]);
  }
  return fields;
}

function errorFields(server: Server): Fields {
  return [...server.out.errorCounts].map(([code, count]) => [`errorstat_${code}`, `count=${count}`]);
}

function keyspaceFields(server: Server): Fields {
  const fields: Fields = [];
  for (const { index, map } of server.keyspace.open()) {
    if (map.count > 0) fields.push([`db${index}`, `keys=${map.count},expires=${map.expiringCount},avg_ttl=0`]);
  }
  return fields;
}

function quireFields(server: Server): Fields {
  return Object.entries(server.store.stats());
}

/** The sections asked for, in INFO's own order. */
function chosen(request: Request): Section[] {
  const asked = new Set<string>();
  for (let i = 1; i < request.count; i++) asked.add(request.lower(i));
  const isAll = asked.has('all') || asked.has('everything');
  const isDefault = asked.size === 0 || asked.has('default');
  return Object.entries(SECTIONS)
    .filter(([name, section]) => isAll || (isDefault && section.isDefault) || asked.has(name))
    .map(([, section]) => section);
}

export function infoHandlers(server: Server): Handlers {
  return {
    info: (_client, request, out: ReplyWriter) => {
      const texts = chosen(request).map(({ title, fields }) => {
        const lines = fields(server).map(([name, value]) => `${name}:${value}\r\n`);
        return `# ${title}\r\n${lines.join('')}`;
      });
      out.verbatim(texts.join('\r\n'));
    },
  };
}
