// Functions that remember how they were called, in the forms of node and of jest.

export function createMock(original = () => undefined, implementation = original) {
  let current = implementation;
  const once = [];
  const calls = [];
  const mock = function (...args) {
    const call = { arguments: args, this: this, result: undefined, error: undefined, target: new.target };
    calls.push(call);
    jest.calls.push(args);
    jest.instances.push(this);
    const run = once.shift() ?? current;
    try {
      call.result = new.target ? Reflect.construct(run, args) : Reflect.apply(run, this, args);
      jest.results.push({ type: 'return', value: call.result });
      return call.result;
    } catch (error) {
      call.error = error;
      jest.results.push({ type: 'throw', value: error });
      throw error;
    }
  };
  const jest = { calls: [], results: [], instances: [] };
  const control = {
    get calls() {
      return mock.isJest ? jest.calls : calls;
    },
    get results() {
      return jest.results;
    },
    get instances() {
      return jest.instances;
    },
    get lastCall() {
      return jest.calls.at(-1);
    },
    callCount: () => calls.length,
    resetCalls: () => {
      calls.length = 0;
      jest.calls.length = 0;
      jest.results.length = 0;
    },
    mockImplementation: (next) => {
      current = next;
    },
    mockImplementationOnce: (next) => once.push(next),
    restore: () => {
      current = original;
    },
  };
  Object.defineProperty(mock, 'isJest', { value: false, writable: true });
  Object.defineProperty(mock, 'mock', { value: control });
  return mock;
}

const tracked = [];

export const nodeMock = {
  fn: (original, implementation) => createMock(original, implementation),
  method(object, name, implementation) {
    const original = object[name];
    const mock = createMock(original, implementation ?? original);
    object[name] = mock;
    const undo = () => {
      object[name] = original;
    };
    mock.mock.restore = undo;
    tracked.push(undo);
    return mock;
  },
  reset: () => nodeMock.restoreAll(),
  restoreAll() {
    while (tracked.length > 0) tracked.pop()();
  },
};

function jestMock(implementation) {
  const mock = createMock(undefined, implementation ?? (() => undefined));
  mock.isJest = true;
  const chain = (action) =>
    function (...args) {
      action(...args);
      return mock;
    };
  Object.assign(mock, {
    mockImplementation: chain((next) => mock.mock.mockImplementation(next)),
    mockImplementationOnce: chain((next) => mock.mock.mockImplementationOnce(next)),
    mockReturnValue: chain((value) => mock.mock.mockImplementation(() => value)),
    mockReturnValueOnce: chain((value) => mock.mock.mockImplementationOnce(() => value)),
    mockResolvedValue: chain((value) => mock.mock.mockImplementation(() => Promise.resolve(value))),
    mockResolvedValueOnce: chain((value) => mock.mock.mockImplementationOnce(() => Promise.resolve(value))),
    mockRejectedValue: chain((value) => mock.mock.mockImplementation(() => Promise.reject(value))),
    mockRejectedValueOnce: chain((value) => mock.mock.mockImplementationOnce(() => Promise.reject(value))),
    mockClear: chain(() => mock.mock.resetCalls()),
    mockReset: chain(() => {
      mock.mock.resetCalls();
      mock.mock.mockImplementation(() => undefined);
    }),
    mockRestore: chain(() => mock.mock.restore()),
  });
  return mock;
}

export const jest = {
  fn: jestMock,
  spyOn(object, name) {
    const original = object[name];
    const mock = jestMock(function (...args) {
      return Reflect.apply(original, this, args);
    });
    object[name] = mock;
    mock.mock.restore = () => {
      object[name] = original;
    };
    tracked.push(mock.mock.restore);
    return mock;
  },
  restoreAllMocks: () => nodeMock.restoreAll(),
  clearAllMocks() {},
  resetAllMocks() {},
};
