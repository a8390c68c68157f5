;; H08, H28: fills 32 MiB and copies them, over and over.
(component
  (core module $guest
    (memory 1024)
    (func (export "run") (result i32)
      (loop $again
        (memory.fill (i32.const 0) (i32.const 0x5a) (i32.const 33554432))
        (memory.copy (i32.const 33554432) (i32.const 0) (i32.const 33554432))
        (br $again))
      unreachable))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
