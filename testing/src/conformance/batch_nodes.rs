//! What every [`BatchNodes`] promises.

use crate::conformance::Fixture;
use crate::conformance::fixture::{all_ok, ok};
use lambda_jobs_core::JobId;
use lambda_jobs_core::batch::{Ending, Node, NodeId, Slots};
use lambda_jobs_core::ports::{BatchNodes, NodeChange};

/// Runs every case.
pub async fn suite(nodes: &dyn BatchNodes, fixture: &Fixture) {
    a_node_says_how_many_slots_it_has_once(nodes, fixture).await;
    a_mark_can_be_repeated_and_none_takes_another_back(nodes, fixture).await;
    marks_alone_make_no_shard(nodes, fixture).await;
    marks_that_are_cleared_are_gone(nodes, fixture).await;
    the_nodes_below_are_those_of_this_batch_and_this_node(nodes, fixture).await;
    a_full_shard_and_a_full_root_are_read_whole(nodes, fixture).await;
}

/// An id that other ids begin with, and that holds what keys are made of.
fn batch(fixture: &Fixture) -> JobId {
    let id = format!("{}#3", fixture.id());
    id.parse().unwrap_or_else(|_| fixture.id())
}

fn made(batch: &JobId, node: NodeId, expected: u32) -> NodeChange {
    NodeChange { expected: Some(expected), ..NodeChange::of(batch.clone(), node) }
}

fn marks(batch: &JobId, node: NodeId, marks: &[(u8, Ending)]) -> NodeChange {
    NodeChange { marks: marks.to_vec(), ..NodeChange::of(batch.clone(), node) }
}

async fn changed(nodes: &dyn BatchNodes, case: &str, change: NodeChange) -> Node {
    all_ok(case, nodes.change(&[change]).await).pop().unwrap_or_default()
}

async fn a_node_says_how_many_slots_it_has_once(nodes: &dyn BatchNodes, fixture: &Fixture) {
    let case = "the first number of slots stays, and sealing makes it final";
    let batch = batch(fixture);
    for node in [NodeId::Shard(7), NodeId::Group(7), NodeId::Root] {
        assert_eq!(changed(nodes, case, made(&batch, node, 5)).await.expected, Some(5), "{case}");
        let seal = NodeChange { seals: true, ..made(&batch, node, 9) };
        let sealed = changed(nodes, case, seal.clone()).await;
        assert_eq!((sealed.expected, sealed.sealed), (Some(5), true), "{case}");
        assert_eq!(changed(nodes, case, seal).await, sealed, "{case}");
    }
    let fresh = NodeChange { seals: true, ..made(&batch, NodeId::Shard(8), 0) };
    let sealed = changed(nodes, case, fresh).await;
    assert_eq!((sealed.expected, sealed.sealed), (Some(0), true), "{case}: one that did not exist is made");
    assert_eq!(changed(nodes, case, made(&batch, NodeId::Shard(8), 5)).await.expected, Some(0), "{case}");
}

async fn a_mark_can_be_repeated_and_none_takes_another_back(nodes: &dyn BatchNodes, fixture: &Fixture) {
    let case = "a mark can be repeated, and none takes another back";
    let batch = batch(fixture);
    let (shard, other) = (NodeId::Shard(0), NodeId::Shard(1));
    all_ok(case, nodes.change(&[made(&batch, shard, 4), made(&batch, other, 1)]).await);
    let both = [
        marks(&batch, shard, &[(0, Ending::Completed), (1, Ending::Failed), (2, Ending::Cancelled)]),
        marks(&batch, other, &[(0, Ending::Completed)]),
    ];
    for _ in 0..2 {
        let found = all_ok(case, nodes.change(&both).await);
        let expected = Node {
            expected: Some(4),
            sealed: false,
            completed: Slots::of([0]),
            failed: Slots::of([1]),
            cancelled: Slots::of([2]),
        };
        assert_eq!(found[0], expected, "{case}");
        assert_eq!((found[1].expected, found[1].completed), (Some(1), Slots::of([0])), "{case}");
    }
    let later = changed(nodes, case, marks(&batch, shard, &[(1, Ending::Completed)])).await;
    assert_eq!((later.completed, later.failed), (Slots::of([0, 1]), Slots::of([1])), "{case}");
    for node in [NodeId::Group(0), NodeId::Root] {
        let made = changed(nodes, case, marks(&batch, node, &[(99, Ending::Completed)])).await;
        assert_eq!((made.expected, made.completed), (None, Slots::of([99])), "{case}");
    }
}

async fn marks_alone_make_no_shard(nodes: &dyn BatchNodes, fixture: &Fixture) {
    let case = "marks alone make no shard";
    let batch = batch(fixture);
    let found = changed(nodes, case, marks(&batch, NodeId::Shard(0), &[(0, Ending::Completed)])).await;
    assert_eq!(found, Node::default(), "{case}");
    assert_eq!(ok(case, nodes.below(&batch, NodeId::Group(0)).await), [], "{case}");
}

async fn marks_that_are_cleared_are_gone(nodes: &dyn BatchNodes, fixture: &Fixture) {
    let case = "marks that are cleared are gone, and a child that completed stays so";
    let batch = batch(fixture);
    let shard = NodeId::Shard(0);
    changed(nodes, case, made(&batch, shard, 3)).await;
    let all = [(0, Ending::Completed), (1, Ending::Failed), (2, Ending::Cancelled)];
    changed(nodes, case, marks(&batch, shard, &all)).await;
    let cleared = NodeChange { cleared: Slots::of([0, 1, 2]), ..NodeChange::of(batch.clone(), shard) };
    let left = changed(nodes, case, cleared).await;
    assert_eq!(
        (left.ended(), left.completed, left.expected),
        (Slots::of([0]), Slots::of([0]), Some(3)),
        "{case}"
    );
}

async fn the_nodes_below_are_those_of_this_batch_and_this_node(nodes: &dyn BatchNodes, fixture: &Fixture) {
    let case = "below a node are the nodes of this batch whose slots it has";
    let one = batch(fixture);
    // Its partitions must not be those of a group of another batch.
    let other: JobId = one.as_str().trim_end_matches("#3").parse().unwrap_or_else(|_| fixture.id());
    for (batch, expected) in [(&one, 1), (&other, 2)] {
        for node in [NodeId::Shard(3), NodeId::Shard(11), NodeId::Shard(4), NodeId::Group(3), NodeId::Root] {
            changed(nodes, case, made(batch, node, expected)).await;
        }
    }
    for (batch, expected) in [(&one, Some(1)), (&other, Some(2))] {
        let mut below = ok(case, nodes.below(batch, NodeId::Group(3)).await);
        below.sort_unstable_by_key(|(slot, _)| *slot);
        let slots: Vec<_> = below.iter().map(|(slot, node)| (*slot, node.expected)).collect();
        assert_eq!(slots, [(0, expected), (1, expected)], "{case}");
        let groups = ok(case, nodes.below(batch, NodeId::Root).await);
        assert_eq!(groups.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [3], "{case}");
        assert_eq!(ok(case, nodes.root(batch).await).expected, expected, "{case}");
    }
    let nobody = batch(fixture);
    assert_eq!(ok(case, nodes.root(&nobody).await), Node::default(), "{case}");
}

async fn a_full_shard_and_a_full_root_are_read_whole(nodes: &dyn BatchNodes, fixture: &Fixture) {
    let case = "a full node is read whole";
    let batch = batch(fixture);
    changed(nodes, case, made(&batch, NodeId::Shard(0), 100)).await;
    let all: Vec<_> = (0..100).map(|slot| (slot, Ending::Completed)).collect();
    let seal = NodeChange { seals: true, ..NodeChange::of(batch.clone(), NodeId::Shard(0)) };
    changed(nodes, case, seal).await;
    let full = changed(nodes, case, marks(&batch, NodeId::Shard(0), &all)).await;
    assert!(full.is_over() && full.completed.len() == 100, "{case}");
    let all: Vec<_> = (0..104).map(|slot| (slot, Ending::Completed)).collect();
    changed(nodes, case, marks(&batch, NodeId::Root, &all)).await;
    assert_eq!(ok(case, nodes.root(&batch).await).completed.len(), 104, "{case}");
}
