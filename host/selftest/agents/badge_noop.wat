;; A badge renderer that draws the same empty image each time: what a call costs at least.
(component
  (core module $guest
    (memory (export "memory") 1)
    (data (i32.const 1024) "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"/>")
    (data (i32.const 1152) "Online")
    (data (i32.const 1168) "green")
    ;; ok(image) at 1184: the case, then pointer and length of svg, message and color.
    (data (i32.const 1184)
      "\00\00\00\00"
      "\00\04\00\00" "\34\00\00\00"
      "\80\04\00\00" "\06\00\00\00"
      "\90\04\00\00" "\05\00\00\00")
    ;; The only text handed in is the label; nobody reads it, so all labels may lie in the same place. One page holds 100 characters.
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (i32.const 2048))
    (func (export "render") (param i32 i32 i32 i32) (result i32)
      (i32.const 1184)))
  (core instance $guest (instantiate $guest))

  (type $t-state (enum "paused" "error" "generating" "deployed" "online"))
  (type $t-style (enum "flat" "flat-square" "plastic" "for-the-badge" "social"))
  (type $t-request (record (field "label" string) (field "state" $t-state) (field "style" $t-style)))
  (type $t-image (record (field "svg" string) (field "message" string) (field "color" string)))
  (func $render (param "request" $t-request) (result (result $t-image (error string)))
    (canon lift (core func $guest "render") (memory (core memory $guest "memory")) (realloc (core func $guest "cabi_realloc"))))

  ;; An instance that exports the function under types that it names.
  (component $interface
    (type $t-state (enum "paused" "error" "generating" "deployed" "online"))
    (import "import-type-state" (type $state (eq $t-state)))
    (type $t-style (enum "flat" "flat-square" "plastic" "for-the-badge" "social"))
    (import "import-type-style" (type $style (eq $t-style)))
    (type $t-request (record (field "label" string) (field "state" $state) (field "style" $style)))
    (import "import-type-request" (type $request (eq $t-request)))
    (type $t-image (record (field "svg" string) (field "message" string) (field "color" string)))
    (import "import-type-image" (type $image (eq $t-image)))
    (import "import-func-render" (func $render (param "request" $request) (result (result $image (error string)))))
    (export $e-state "state" (type $state))
    (export $e-style "style" (type $style))
    (type $te-request (record (field "label" string) (field "state" $e-state) (field "style" $e-style)))
    (export $e-request "request" (type $te-request))
    (type $te-image (record (field "svg" string) (field "message" string) (field "color" string)))
    (export $e-image "image" (type $te-image))
    (export "render" (func $render)
      (func (param "request" $e-request) (result (result $e-image (error string))))))
  (instance $badge (instantiate $interface
    (with "import-type-state" (type $t-state))
    (with "import-type-style" (type $t-style))
    (with "import-type-request" (type $t-request))
    (with "import-type-image" (type $t-image))
    (with "import-func-render" (func $render))))
  (export "infinity:agent/badge@0.1.0" (instance $badge)))
