;; H10: logs ten million lines.
(component
  ;; include: libc
  (import "wasi:logging/logging@0.1.0-draft" (instance $logging
    (type $t-level (enum "trace" "debug" "info" "warn" "error" "critical"))
    (export "level" (type $level (eq $t-level)))
    (export "log" (func (param "level" $level) (param "context" string) (param "message" string)))))
  (core func $log (canon lower (func $logging "log") (memory (core memory $memory))))
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "log" (func $log (param i32 i32 i32 i32 i32)))
    (data (i32.const 1024) "the same line, once more")
    (func (export "run") (result i32)
      (local $left i32)
      (local.set $left (i32.const 10000000))
      (loop $again
        (call $log (i32.const 2) (i32.const 1024) (i32.const 3) (i32.const 1024) (i32.const 24))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (i32.const 0)))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance (export "log" (func $log))))))
  ;; include: command
)
