;; H01: loops for ever.
(component
  (core module $guest (func (export "run") (result i32) (loop $again (br $again)) unreachable))
  (core instance $guest (instantiate $guest))
  ;; include: command
)
