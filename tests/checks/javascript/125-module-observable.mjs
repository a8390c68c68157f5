// A proxy that reports changes, also of nested objects.
const watch = (target, report, path = []) => new Proxy(target, { get: (t, k) => (t[k] && typeof t[k] === 'object' ? watch(t[k], report, [...path, k]) : t[k]), set: (t, k, v) => { report([...path, k].join('.'), t[k], v); t[k] = v; return true; }, deleteProperty: (t, k) => { report([...path, k].join('.'), t[k], undefined); return delete t[k]; } });
const state = watch({ user: { name: 'A', tags: ['x'] }, n: 1 }, (p, a, b) => console.log('change', p, a, '->', b));
state.n++; state.user.name = 'B'; state.user.tags[1] = 'y'; delete state.user.name; state.fresh = { deep: 1 }; state.fresh.deep += 1;
state.user.tags.push('z');
console.log(JSON.stringify(state));
