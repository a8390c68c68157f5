;; Passes at once: the canary, and what is started twice.
(component
  (core module $guest (func (export "run") (result i32) (i32.const 0)))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
