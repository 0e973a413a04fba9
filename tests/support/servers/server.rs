//! One process of a server, which can be killed and started again where it was.

use super::folder::Folder;
use super::guard::Guard;

/// What it takes to run it, once or again.
pub(crate) struct Recipe {
    pub(crate) folder: Folder,
    /// The program and its arguments.
    pub(crate) command: Vec<String>,
    /// What it prints when it takes connections.
    pub(crate) ready: &'static str,
    /// The signal that ends it at once and leaves nothing behind in the system.
    pub(crate) last: &'static str,
}

/// Gone with this handle, folder and all, or with this process, however that ends.
pub(crate) struct Server {
    recipe: Recipe,
    /// There is always one, but in the middle of a restart.
    guard: Option<Guard>,
}

impl Server {
    /// Ready when this returns.
    ///
    /// # Panics
    /// With what it printed last, if it does not come up.
    pub(crate) fn start(mut recipe: Recipe) -> Self {
        let guard = run(&recipe);
        recipe.folder.is_guarded();
        guard.log.wait_for(recipe.ready);
        Self {
            recipe,
            guard: Some(guard),
        }
    }

    /// As a power cut would, if it reached nobody but this server.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
    }

    /// Starts it after a [`kill`](Self::kill): same port, same data.
    pub(crate) fn restart(&mut self) {
        self.guard.take().expect("there is one").leave();
        let guard = run(&self.recipe);
        guard.log.wait_for(self.recipe.ready);
        self.guard = Some(guard);
    }

    /// It answers nobody, and is not gone.
    pub(crate) fn pause(&mut self) {
        self.signal("STOP");
    }

    pub(crate) fn go_on(&mut self) {
        self.signal("CONT");
    }

    /// Waits until it prints this, for what it has not printed before.
    pub(crate) fn wait_for(&self, text: &str) {
        self.guard
            .as_ref()
            .expect("there is one")
            .log
            .wait_for(text);
    }

    /// Where its data is.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.recipe.folder.path()
    }

    fn signal(&mut self, name: &str) {
        self.guard.as_mut().expect("there is one").signal(name);
    }
}

fn run(recipe: &Recipe) -> Guard {
    Guard::run(&recipe.folder, recipe.last, &recipe.command)
}
