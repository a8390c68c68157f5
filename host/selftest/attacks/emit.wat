;; H11: emits the event that each of its variables names.
(component
  ;; include: libc
  ;; include: environment
  (import "infinity:agent/events@0.1.0" (instance $events
    (type $t-error (variant (case "denied" string) (case "invalid" string) (case "too-many" string)))
    (export "error" (type $error (eq $t-error)))
    (export "emit" (func (param "kind" string) (param "subject" (option string)) (param "data" string) (result (result (error $error)))))))
  (core func $emit (canon lower (func $events "emit") (memory (core memory $memory)) (realloc (core func $realloc))))
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "variables" (func $variables (param i32)))
    (import "host" "emit" (func $emit (param i32 i32 i32 i32 i32 i32 i32 i32)))
    (data (i32.const 1024) "null")
    (func (export "run") (result i32)
      (local $at i32)
      (local $end i32)
      (call $variables (i32.const 2048))
      (local.set $at (i32.load (i32.const 2048)))
      (local.set $end (i32.add (local.get $at) (i32.mul (i32.const 16) (i32.load (i32.const 2052)))))
      (loop $again
        (if (i32.ge_u (local.get $at) (local.get $end)) (then (return (i32.const 0))))
        (call $emit (i32.load offset=8 (local.get $at)) (i32.load offset=12 (local.get $at))
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1024) (i32.const 4) (i32.const 2048))
        (if (i32.load8_u (i32.const 2048)) (then (return (i32.const 1))))
        (local.set $at (i32.add (local.get $at) (i32.const 16)))
        (br $again))
      unreachable))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "variables" (func $variables)) (export "emit" (func $emit))))))
  ;; include: command
)
