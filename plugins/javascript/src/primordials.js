// The language's own functions, taken before any code that was handed in could replace them.
const { bind, call } = Function.prototype;

/// Turns a method into a function that takes its receiver first.
export const uncurry = bind.bind(call);

export const {
  apply,
  construct,
  defineProperty,
  deleteProperty,
  get,
  getOwnPropertyDescriptor,
  getPrototypeOf,
  has,
  ownKeys,
  set,
  setPrototypeOf,
} = Reflect;
export const { is, create, freeze, isExtensible, keys } = Object;
export const { isArray } = Array;
export const { isFinite, isInteger } = Number;
export const { stringify, parse } = JSON;
export const ObjectPrototype = Object.prototype;
export const ArrayPrototype = Array.prototype;
export const FunctionPrototype = Function.prototype;

export const push = uncurry(Array.prototype.push);
export const join = uncurry(Array.prototype.join);
export const slice = uncurry(String.prototype.slice);
export const indexOf = uncurry(String.prototype.indexOf);
export const startsWith = uncurry(String.prototype.startsWith);
export const charCodeAt = uncurry(String.prototype.charCodeAt);
export const toStringTag = uncurry(Object.prototype.toString);

const Generator = Object.getPrototypeOf(function* () {}).prototype;
export const generatorNext = uncurry(Generator.next);
export const generatorThrow = uncurry(Generator.throw);
export const generatorReturn = uncurry(Generator.return);

export const NativeMap = Map;
export const NativeSet = Set;
export const NativeWeakMap = WeakMap;
export const NativeProxy = Proxy;
export const NativeDate = Date;
export const NativeError = Error;
export const NativeString = String;
export const mapGet = uncurry(Map.prototype.get);
export const mapSet = uncurry(Map.prototype.set);
export const mapHas = uncurry(Map.prototype.has);
export const mapDelete = uncurry(Map.prototype.delete);
export const mapForEach = uncurry(Map.prototype.forEach);
export const setAdd = uncurry(Set.prototype.add);
export const setHas = uncurry(Set.prototype.has);
export const setForEach = uncurry(Set.prototype.forEach);
export const weakGet = uncurry(WeakMap.prototype.get);
export const weakSet = uncurry(WeakMap.prototype.set);
export const weakHas = uncurry(WeakMap.prototype.has);

/// The data of a property that is really there, without calling a getter.
export function ownData(object, key) {
  const found = getOwnPropertyDescriptor(object, key);
  return found === undefined ? undefined : found.value;
}

/// Sets a property as an assignment to a fresh object would, also for the name `__proto__`.
export function put(object, key, value) {
  defineProperty(object, key, { __proto__: null, value, writable: true, enumerable: true, configurable: true });
}
