//! Starting the threads of an engine. Must not live here: what they do, and how an engine stops (`shared`).

use std::sync::Arc;
use std::thread::JoinHandle;

use actix::{Actor, Addr};

use crate::store::Error;

use super::messages::Stop;
use super::shard::ShardActor;
use super::shared::Shared;

/// The shards of an engine that starts: when it cannot, those that have begun end again.
#[derive(Default)]
pub(super) struct Shards {
    addrs: Vec<Addr<ShardActor>>,
    threads: Vec<JoinHandle<()>>,
}

impl Shards {
    /// Begins the shard of this number.
    pub(super) fn begin(&mut self, index: usize, shared: &Arc<Shared>) -> Result<(), Error> {
        let (addr, thread) = spawn_shard(index, Arc::clone(shared))?;
        self.addrs.push(addr);
        self.threads.push(thread);
        Ok(())
    }

    pub(super) fn addrs(&self) -> Vec<Addr<ShardActor>> {
        self.addrs.clone()
    }

    /// The engine runs: they end when it says so.
    pub(super) fn begun(mut self) -> (Vec<Addr<ShardActor>>, Vec<JoinHandle<()>>) {
        (std::mem::take(&mut self.addrs), std::mem::take(&mut self.threads))
    }
}

impl Drop for Shards {
    fn drop(&mut self) {
        for addr in &self.addrs {
            addr.do_send(Stop);
        }
    }
}

pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| Error::Io(format!("cannot start thread {name}: {error}")))
}

fn spawn_shard(index: usize, shared: Arc<Shared>) -> Result<(Addr<ShardActor>, JoinHandle<()>), Error> {
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = spawn(&format!("amends-shard-{index}"), move || {
        // Until the thread has ended: a turn that hangs is told of also when it is only waited for.
        let _watched = shared.watchdog.enter();
        let system = actix::System::new();
        system.block_on(async {
            let _ = ready.send(ShardActor::new(index, shared).start());
        });
        if let Err(error) = system.run() {
            tracing::error!(%error, shard = index, "a shard's thread ended badly");
        }
    })?;
    let addr = started
        .recv()
        .map_err(|_| Error::Io(format!("shard {index} did not start")))?;
    Ok((addr, thread))
}
