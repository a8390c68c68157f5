;; H56: looks for variables, arguments, directories and settings that nobody granted; fails if there are any.
(component
  ;; include: libc
  ;; include: environment
  ;; include: files
  (import "wasi:config/store@0.2.0-rc.1" (instance $config
    (type $t-error (variant (case "upstream" string) (case "io" string)))
    (export "error" (type $error (eq $t-error)))
    (export "get" (func (param "key" string) (result (result (option string) (error $error)))))))
  (core func $get (canon lower (func $config "get") (memory (core memory $memory)) (realloc (core func $realloc))))
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "variables" (func $variables (param i32)))
    (import "host" "arguments" (func $arguments (param i32)))
    (import "host" "directories" (func $directories (param i32)))
    (import "host" "get" (func $get (param i32 i32 i32)))
    (data (i32.const 1024) "SELFTEST_SECRETINFINITY_API_KEY")
    (func (export "run") (result i32)
      (call $variables (i32.const 2048))
      (if (i32.load (i32.const 2052)) (then (return (i32.const 1))))
      (call $directories (i32.const 2048))
      (if (i32.load (i32.const 2052)) (then (return (i32.const 1))))
      ;; The agent's own name is the one argument.
      (call $arguments (i32.const 2048))
      (if (i32.gt_u (i32.load (i32.const 2052)) (i32.const 1)) (then (return (i32.const 1))))
      (call $get (i32.const 1024) (i32.const 15) (i32.const 2048))
      (if (call $found) (then (return (i32.const 1))))
      (call $get (i32.const 1039) (i32.const 16) (i32.const 2048))
      (call $found))
    ;; An answer that is a value: neither an error nor nothing.
    (func $found (result i32)
      (i32.and (i32.eqz (i32.load8_u (i32.const 2048))) (i32.load8_u (i32.const 2052)))))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "variables" (func $variables)) (export "arguments" (func $arguments))
    (export "directories" (func $directories)) (export "get" (func $get))))))
  ;; include: command
)
