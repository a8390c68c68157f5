// The message of an uncaught error with a cause.
function load() { try { JSON.parse('{'); } catch (error) { throw new Error('cannot load', { cause: error }); } }
try { load(); } catch (error) { console.log(error.message, error.cause.name); }
load();
