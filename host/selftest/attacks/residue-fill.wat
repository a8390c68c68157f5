;; H27, H28: fills 32 MiB with a pattern, and traps.
(component
  (core module $guest
    (memory 512)
    (func (export "run") (result i32)
      (memory.fill (i32.const 0) (i32.const 0xa7) (i32.const 33554432))
      unreachable))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
