const EventEmitter = require('events'); const e = new EventEmitter();
e.on('x', (a) => console.log('on', a)); e.once('x', () => console.log('once')); e.prependListener('x', () => console.log('first'));
console.log(e.emit('x', 1), e.emit('x', 2), e.emit('none'), e.listenerCount('x'));
class My extends EventEmitter {} const m = new My(); m.on('error', (er) => console.log('err', er.message)); m.emit('error', new Error('E'));
try { new EventEmitter().emit('error', new Error('unhandled')); } catch (er) { console.log(er.message); } e.off('x', () => {}); e.removeAllListeners(); console.log(e.eventNames());
