/** The Redis whose replies this server gives, and the server's own version. */
export const REDIS_VERSION = '7.0.15';
export const QUIRE_VERSION = '0.1.0';
