;; H25: logs what a terminal or a reader would obey: colours, a cleared screen, line breaks, bidirectional marks, a forged record, markup.
(component
  ;; include: libc
  ;; include: streams
  (import "wasi:cli/stderr@0.2.0" (instance $cli (export "get-stderr" (func (result (own $output))))))
  (core func $get (canon lower (func $cli "get-stderr")))
  (core module $guest
    (import "libc" "memory" (memory 1))
    (import "host" "get" (func $get (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (data (i32.const 4096) "\1b[2J\1b[31mcleared\r\nforged\00 \e2\80\ae reversed \e2\81\a6 isolated\n{\"level\":\"error\",\"message\":\"not by the host\"}\n<script>alert(1)</script>\n\c2\9b31m\07\08\n")
    (func (export "run") (result i32)
      (call $write (call $get) (i32.const 4096) (i32.const 132) (i32.const 1024))
      (i32.load8_u (i32.const 1024))))
  (core instance $guest (instantiate $guest (with "libc" (instance $libc)) (with "host" (instance
    (export "get" (func $get)) (export "write" (func $write))))))
  ;; include: command
)
