exports.a = 1; console.log(module.exports === exports, require.main === module, typeof require.resolve, module.id);
try { require('./missing'); } catch (e) { console.log(e.code, e.message.split('\n')[0].slice(0, 30)); } try { require('left-pad'); } catch (e) { console.log(e.code, e.message.split('\n')[0]); }
console.log(Object.keys(require('os')).includes('EOL'), JSON.stringify(require('os').EOL), require('node:process') === process, require('timers').setTimeout === setTimeout);
