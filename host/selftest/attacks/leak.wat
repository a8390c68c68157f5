;; H19: a million handles that are never dropped.
(component
  ;; include: clock
  (core module $guest
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (func (export "run") (result i32)
      (local $left i32)
      (local.set $left (i32.const 1000000))
      (loop $again
        (drop (call $subscribe (i64.const 1000000000)))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "host" (instance (export "subscribe" (func $subscribe))))))
  ;; include: command
)
