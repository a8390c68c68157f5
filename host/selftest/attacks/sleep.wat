;; H05: waits in one host call for the end of time.
(component
  ;; include: clock
  (core module $guest
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (func (export "run") (result i32)
      (call $block (call $subscribe (i64.const -1)))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "host" (instance
    (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
  ;; include: command
)
