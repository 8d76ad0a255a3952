/** The map's door to the world where its opener gives none: clock and chance. Nothing else of the map knows either. */
export const systemNow: () => number = Date.now;
export const systemRandom: () => number = Math.random;
