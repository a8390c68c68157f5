;; H10: asks for the time ten million times.
(component
  ;; include: clock
  (core module $guest
    (import "host" "now" (func $now (result i64)))
    (func (export "run") (result i32)
      (local $left i32)
      (local.set $left (i32.const 10000000))
      (loop $again
        (drop (call $now))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "host" (instance (export "now" (func $now))))))
  ;; include: command
)
