// An uncaught error of the program's own class.
class ConfigError extends Error { constructor(key) { super(`missing key: ${key}`); this.name = 'ConfigError'; } }
setTimeout(() => console.log('never'), 0);
console.log('loading');
throw new ConfigError('port');
