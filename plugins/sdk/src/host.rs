//! The one seam between the two worlds: on `wasm32` a call goes to the bindings, elsewhere to the test host.

/// Picks the expression for this target.
macro_rules! on_host {
    (wasm => $wasm:expr, native => |$host:ident| $native:expr) => {{
        #[cfg(target_arch = "wasm32")]
        {
            $wasm
        }
        #[cfg(not(target_arch = "wasm32"))]
        {
            crate::testing::with(|$host| $native)
        }
    }};
}
pub(crate) use on_host;
