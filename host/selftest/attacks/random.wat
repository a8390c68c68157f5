;; H22: asks for 4 GiB of randomness.
(component
  ;; include: libc
  (import "wasi:random/random@0.2.0" (instance $random
    (export "get-random-bytes" (func (param "len" u64) (result (list u8))))))
  (core func $bytes (canon lower (func $random "get-random-bytes") (memory (core memory $memory)) (realloc (core func $realloc))))
  (core module $guest
    (import "host" "bytes" (func $bytes (param i64 i32)))
    (func (export "run") (result i32)
      (call $bytes (i64.const 4294967296) (i32.const 1024))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "host" (instance (export "bytes" (func $bytes))))))
  ;; include: command
)
