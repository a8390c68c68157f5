;; The neighbour: keeps the key `note`, and fails if what is there is not its own.
(component
  ;; include: libc
  ;; include: keys
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "open" (func $open (param i32 i32 i32)))
    (import "host" "get" (func $get (param i32 i32 i32 i32)))
    (import "host" "set" (func $set (param i32 i32 i32 i32 i32 i32)))
    (data (i32.const 1024) "note")
    (data (i32.const 1032) "what the neighbour knows")
    (func (export "run") (result i32)
      (local $bucket i32)
      (local $value i32)
      (local $at i32)
      (call $open (i32.const 0) (i32.const 0) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then unreachable))
      (local.set $bucket (i32.load (i32.const 2052)))
      (call $get (local.get $bucket) (i32.const 1024) (i32.const 4) (i32.const 2048))
      (if (i32.load8_u (i32.const 2048)) (then unreachable))
      ;; The first run finds nothing and writes it.
      (if (i32.eqz (i32.load8_u (i32.const 2052))) (then
        (call $set (local.get $bucket) (i32.const 1024) (i32.const 4) (i32.const 1032) (i32.const 24) (i32.const 2048))
        (return (i32.load8_u (i32.const 2048)))))
      (if (i32.ne (i32.load (i32.const 2060)) (i32.const 24)) (then (return (i32.const 1))))
      (local.set $value (i32.load (i32.const 2056)))
      (loop $again
        (if (i32.ne (i32.load8_u (i32.add (local.get $value) (local.get $at))) (i32.load8_u offset=1032 (local.get $at)))
          (then (return (i32.const 1))))
        (br_if $again (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 24))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "open" (func $open)) (export "get" (func $get)) (export "set" (func $set))))))
  ;; include: command
)
