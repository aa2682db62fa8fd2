//! Which step waits for which. Lives here: names to indices, dependencies, ancestors, cycles. Must not live here: what
//! kinds of steps may depend on each other (that is `rules`).

use std::collections::{BTreeMap, BTreeSet};

use super::canonical::Step;
use super::locations::Problems;
use super::problem::did_you_mean;

/// The steps of a definition and what they wait for, by their indices in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Graph {
    /// Every step's index by its name.
    pub(super) names: BTreeMap<String, usize>,
    /// What each step waits for directly.
    pub(super) dependencies: Vec<Vec<usize>>,
    /// What each step waits for, directly or not.
    pub(super) ancestors: Vec<BTreeSet<usize>>,
    /// Whether some step waits for itself.
    pub(super) cyclic: bool,
}

/// These steps and every one that they lead to, directly or not.
pub(super) fn reached<'a>(first: &[usize], onward: impl Fn(usize) -> &'a [usize]) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open = first.to_vec();
    while let Some(step) = open.pop() {
        if reached.insert(step) {
            open.extend(onward(step));
        }
    }
    reached
}

impl Graph {
    /// Builds the graph; reports duplicate names, unknown steps and cycles.
    pub(super) fn new(steps: &[Step], problems: &mut Problems) -> Self {
        let mut graph = Self::default();
        for (index, step) in steps.iter().enumerate().filter(|(_, step)| !step.name.is_empty()) {
            if let Some(first) = graph.names.get(&step.name) {
                let message = format!("step name `{}` is taken by step number {}", step.name, first + 1);
                problems.error(&format!("step[{index}].name"), message);
            } else {
                graph.names.insert(step.name.clone(), index);
            }
        }
        for (index, step) in steps.iter().enumerate() {
            let dependencies = graph.dependencies_of(index, step, problems);
            graph.dependencies.push(dependencies);
        }
        graph.ancestors = (0..steps.len())
            .map(|step| reached(graph.direct(step), |step| graph.direct(step)))
            .collect();
        graph.report_cycles(steps, problems);
        graph
    }

    fn dependencies_of(&self, index: usize, step: &Step, problems: &mut Problems) -> Vec<usize> {
        let mut dependencies = Vec::with_capacity(step.after.len());
        for (position, name) in step.after.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let place = format!("step[{index}].after[{position}]");
            match self.names.get(name) {
                None => {
                    let hint = did_you_mean(name, self.names.keys().map(String::as_str));
                    problems
                        .error(&place, format!("unknown step `{name}`"))
                        .maybe_hint(hint);
                }
                Some(dependency) if dependencies.contains(dependency) => {
                    problems.error(&place, format!("step `{name}` is there twice"));
                }
                Some(dependency) => dependencies.push(*dependency),
            }
        }
        dependencies
    }

    fn direct(&self, step: usize) -> &[usize] {
        self.dependencies.get(step).map_or(&[], Vec::as_slice)
    }

    /// Whether one step waits for another, directly or not.
    pub(super) fn waits_for(&self, step: usize, other: usize) -> bool {
        self.ancestors
            .get(step)
            .is_some_and(|ancestors| ancestors.contains(&other))
    }

    /// Reports one cycle through each group of steps that wait for each other, at the group's first step.
    fn report_cycles(&mut self, steps: &[Step], problems: &mut Problems) {
        let mut reported = BTreeSet::new();
        for step in 0..steps.len() {
            if reported.contains(&step) || !self.waits_for(step, step) {
                continue;
            }
            self.cyclic = true;
            reported.extend(
                (step..steps.len()).filter(|other| self.waits_for(step, *other) && self.waits_for(*other, step)),
            );
            let names: Vec<&str> = self
                .cycle_from(step)
                .into_iter()
                .filter_map(|step| steps.get(step))
                .map(|step| step.name.as_str())
                .collect();
            let message = format!("steps wait for each other: {}", names.join(" -> "));
            problems
                .error(&format!("step[{step}].after"), message)
                .hint("`->` reads \"waits for\"; remove one of them from an `after`");
        }
    }

    /// The shortest way from a step back to itself, both ends included.
    fn cycle_from(&self, start: usize) -> Vec<usize> {
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut frontier = vec![start];
        while !frontier.is_empty() && !came_from.contains_key(&start) {
            let mut next = Vec::new();
            for step in frontier {
                for dependency in self.direct(step) {
                    if !came_from.contains_key(dependency) {
                        came_from.insert(*dependency, step);
                        next.push(*dependency);
                    }
                }
            }
            frontier = next;
        }
        let mut way = vec![start];
        let mut step = came_from.get(&start).copied();
        while let Some(at) = step.filter(|at| *at != start) {
            way.push(at);
            step = came_from.get(&at).copied();
        }
        way.push(start);
        way.reverse();
        way
    }
}
