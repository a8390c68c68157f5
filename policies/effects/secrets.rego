# What an effect writes is judged like a commit: no secrets.
package effects.secrets

import data.github.commit.secrets

deny contains violation if some violation in secrets.deny

warn contains violation if some violation in secrets.warn
