;; H06: waits for what is ready at once, over and over.
(component
  ;; include: clock
  (core module $guest
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (import "host" "drop" (func $drop (param i32)))
    (func (export "run") (result i32)
      (local $pollable i32)
      (loop $again
        (local.set $pollable (call $subscribe (i64.const 0)))
        (call $block (local.get $pollable))
        (call $drop (local.get $pollable))
        (br $again))
      unreachable))
  (core instance $guest (instantiate $guest (with "host" (instance
    (export "subscribe" (func $subscribe)) (export "block" (func $block)) (export "drop" (func $drop-pollable))))))
  ;; include: command
)
