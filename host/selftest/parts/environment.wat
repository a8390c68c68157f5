  (import "wasi:cli/environment@0.2.0" (instance $environment
    (export "get-environment" (func (result (list (tuple string string)))))
    (export "get-arguments" (func (result (list string))))))
  (core func $variables (canon lower (func $environment "get-environment") (memory (core memory $memory)) (realloc (core func $realloc))))
  (core func $arguments (canon lower (func $environment "get-arguments") (memory (core memory $memory)) (realloc (core func $realloc))))
