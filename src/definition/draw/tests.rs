//! Drawings, to the letter. `AMENDS_UPDATE_SAMPLES=1` writes the files that are compared with.

use super::super::{ParseOptions, SagaDefinition, Step};
use super::{Drawing, DrawingFormat, DrawnState};

fn parsed(text: &str) -> SagaDefinition {
    match SagaDefinition::parse("x", text, &ParseOptions::default()) {
        Ok((saga, _)) => saga,
        Err(error) => panic!("{error}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's switch")]
fn assert_sample(name: &str, expected: &str, drawn: &str) {
    let path = format!("{}/src/definition/draw/samples/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("AMENDS_UPDATE_SAMPLES").is_some() {
        std::fs::write(&path, drawn).unwrap();
    } else {
        assert_eq!(
            drawn, expected,
            "look at the difference, then AMENDS_UPDATE_SAMPLES=1 writes {path} anew"
        );
    }
}

#[test]
fn a_definition_is_drawn_forward_and_back_in_both_formats() {
    let drawing = parsed(include_str!("samples/trip.toml")).drawing();
    let mermaid = drawing.render(DrawingFormat::Mermaid);
    assert_sample("trip.mmd", include_str!("samples/trip.mmd"), &mermaid);
    let dot = drawing.render(DrawingFormat::Dot);
    assert_sample("trip.dot", include_str!("samples/trip.dot"), &dot);
}

#[test]
fn waits_children_conditions_lists_and_questions_are_drawn() {
    let drawing = parsed(include_str!("samples/basket.toml")).drawing();
    let mermaid = drawing.render(DrawingFormat::Mermaid);
    assert_sample("basket.mmd", include_str!("samples/basket.mmd"), &mermaid);
    let dot = drawing.render(DrawingFormat::Dot);
    assert_sample("basket.dot", include_str!("samples/basket.dot"), &dot);
}

#[test]
fn a_run_is_drawn_with_how_its_steps_stand() {
    let mut drawing = parsed(include_str!("samples/trip.toml")).drawing();
    drawing.steps.truncate(5);
    drawing.completes = false;
    let states = [
        (DrawnState::Completed, None),
        (DrawnState::Undone, Some(DrawnState::Undone)),
        (DrawnState::Completed, Some(DrawnState::Stuck)),
        (DrawnState::Skipped, None),
        (DrawnState::Failed, Some(DrawnState::Running)),
    ];
    for (step, (state, undo_state)) in drawing.steps.iter_mut().zip(states) {
        step.state = Some(state);
        if let Some(undo) = &mut step.undo {
            undo.state = undo_state;
        }
    }
    let mermaid = drawing.render(DrawingFormat::Mermaid);
    assert_sample("run.mmd", include_str!("samples/run.mmd"), &mermaid);
    let dot = drawing.render(DrawingFormat::Dot);
    let lines = [
        "style=\"filled\", fillcolor=\"#dcf5e0\", color=\"#2e7d32\", class=completed",
        "style=\"rounded,dashed,filled\", fillcolor=\"#fff3d6\", color=\"#b26a00\", class=undone",
    ];
    for line in lines {
        assert!(dot.contains(line), "{line}\n{dot}");
    }
}

/// The way back, as `from to` pairs.
fn back(drawing: &Drawing) -> Vec<String> {
    let arrows = drawing.back();
    arrows.iter().map(|(from, to)| format!("{from} {to}")).collect()
}

#[test]
fn the_way_back_passes_over_what_nothing_undoes() {
    let undone = |name: &str| Step::activity(name, "do").compensate("undo");
    let kept = |name: &str| Step::activity(name, "do").nothing_to_compensate();
    let cases = [
        (vec![kept("a"), kept("b")], vec!["s0 amended", "s1 amended"]),
        (
            vec![undone("a"), kept("b"), undone("c")],
            vec!["s0 u0", "u0 amended", "s1 u0", "s2 u2", "u2 u0"],
        ),
        // `c` waits for both, but `a` is undone after `b` anyway.
        (
            vec![undone("a"), undone("b"), undone("c").after(["a", "b"])],
            vec!["s0 u0", "u0 amended", "s1 u1", "u1 u0", "s2 u2", "u2 u1"],
        ),
        // Branches are undone at the same time.
        (
            vec![undone("a"), undone("b").after(["a"]), undone("c").after(["a"])],
            vec!["s0 u0", "u0 amended", "s1 u1", "u1 u0", "s2 u2", "u2 u0"],
        ),
        // After the pivot there is no way back.
        (
            vec![undone("a"), kept("b").pivot(), Step::activity("c", "do").retriable()],
            vec!["s0 u0", "u0 amended", "s1 u0"],
        ),
    ];
    for (steps, expected) in cases {
        let saga = steps
            .into_iter()
            .fold(SagaDefinition::builder("x"), |saga, step| saga.step(step));
        assert_eq!(back(&saga.build().unwrap().drawing()), expected);
    }
}
