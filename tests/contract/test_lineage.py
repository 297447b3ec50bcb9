"""Lineage through unmodified boto3: entities, associations, and questions about what led to what."""

import itertools
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from ml_platform.core.settings import Settings
from tests.contract.sagemaker_requests import unique


@pytest.fixture
def sagemaker(sagemaker_settings: Settings) -> Any:
    return boto3.client("sagemaker")


def artifact(sagemaker: Any, kind: str = "DataSet", **members: Any) -> str:
    source = {"SourceUri": f"s3://bucket/{unique('object')}"}
    request = {"ArtifactName": unique("artifact"), "Source": source, "ArtifactType": kind} | members
    return str(sagemaker.create_artifact(**request)["ArtifactArn"])


def action(sagemaker: Any, kind: str = "Training") -> str:
    source = {"SourceUri": "arn:of:a:job"}
    return str(
        sagemaker.create_action(ActionName=unique("action"), Source=source, ActionType=kind, Status="Completed")[
            "ActionArn"
        ]
    )


def context(sagemaker: Any) -> str:
    source = {"SourceUri": "arn:of:an:endpoint"}
    return str(
        sagemaker.create_context(ContextName=unique("context"), Source=source, ContextType="Endpoint")["ContextArn"]
    )


def connect(sagemaker: Any, *arns: str, kind: str = "ContributedTo") -> None:
    for source, destination in itertools.pairwise(arns):
        sagemaker.add_association(SourceArn=source, DestinationArn=destination, AssociationType=kind)


def arns_of(answer: dict[str, Any]) -> list[str]:
    return [vertex["Arn"] for vertex in answer["Vertices"]]


def test_an_artifact_is_described_changed_and_deleted(sagemaker: Any) -> None:
    uri = f"s3://bucket/{unique('data')}"
    source = {"SourceUri": uri, "SourceTypes": [{"SourceIdType": "MD5Hash", "Value": "abc"}]}
    arn = artifact(
        sagemaker, Source=source, Properties={"rows": "10", "draft": "yes"}, Tags=[{"Key": "team", "Value": "risk"}]
    )
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "risk"}]
    sagemaker.update_artifact(ArtifactArn=arn, ArtifactName="new", PropertiesToRemove=["draft"])
    seen = sagemaker.describe_artifact(ArtifactArn=arn)
    assert (seen["ArtifactName"], seen["Properties"], seen["Source"]) == ("new", {"rows": "10"}, source)
    sagemaker.update_artifact(ArtifactArn=arn, Properties={"rows": "11"})
    assert sagemaker.describe_artifact(ArtifactArn=arn)["Properties"] == {"rows": "11"}
    with pytest.raises(ClientError, match="already exists"):
        artifact(sagemaker, Source=source)
    listed = sagemaker.list_artifacts(SourceUri=uri, ArtifactType="DataSet")["ArtifactSummaries"]
    assert [each["ArtifactArn"] for each in listed] == [arn]
    assert sagemaker.delete_artifact(Source=source)["ArtifactArn"] == arn
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.describe_artifact(ArtifactArn=arn)


def test_actions_and_contexts_live_by_name(sagemaker: Any) -> None:
    did, place = action(sagemaker).rpartition("/")[2], context(sagemaker).rpartition("/")[2]
    sagemaker.update_action(ActionName=did, Status="Failed", Description="no data", Properties={"a": "b"})
    seen = sagemaker.describe_action(ActionName=did)
    assert (seen["Status"], seen["Description"], seen["Properties"]) == ("Failed", "no data", {"a": "b"})
    sagemaker.update_context(ContextName=place, Properties={"colour": "green"})
    assert sagemaker.describe_context(ContextName=place)["Properties"] == {"colour": "green"}
    with pytest.raises(ClientError, match="already exists"):
        sagemaker.create_action(ActionName=did, Source={"SourceUri": "x"}, ActionType="Training")
    found = {
        each["ActionName"]
        for page in sagemaker.get_paginator("list_actions").paginate(ActionType="Training")
        for each in page["ActionSummaries"]
    }
    assert did in found
    sagemaker.delete_action(ActionName=did)
    sagemaker.delete_context(ContextName=place)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.update_context(ContextName=place, Description="gone")
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.delete_action(ActionName=did)


def test_associations_need_both_ends_and_are_unique(sagemaker: Any) -> None:
    data, job = artifact(sagemaker), action(sagemaker)
    connect(sagemaker, data, job)
    [edge] = sagemaker.list_associations(SourceArn=data)["AssociationSummaries"]
    assert (edge["DestinationArn"], edge["SourceType"], edge["DestinationType"]) == (job, "DataSet", "Training")
    assert (edge["AssociationType"], edge["DestinationName"]) == ("ContributedTo", job.rpartition("/")[2])
    assert sagemaker.list_associations(SourceArn=job)["AssociationSummaries"] == []
    with pytest.raises(ClientError, match="already exists"):
        connect(sagemaker, data, job)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        connect(sagemaker, data, f"{job}-unknown")
    with pytest.raises(ClientError, match="still has associations"):
        sagemaker.delete_artifact(ArtifactArn=data)
    sagemaker.delete_association(SourceArn=data, DestinationArn=job)
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.delete_association(SourceArn=data, DestinationArn=job)
    sagemaker.delete_artifact(ArtifactArn=data)


def test_a_query_follows_one_direction_and_stops_at_its_depth(sagemaker: Any) -> None:
    data, job, model, place = artifact(sagemaker), action(sagemaker), artifact(sagemaker, "Model"), context(sagemaker)
    connect(sagemaker, data, job, model, place)
    up = sagemaker.query_lineage(StartArns=[model], Direction="Ascendants", IncludeEdges=False)
    assert arns_of(up) == [job, data]
    assert up["Edges"] == [] if "Edges" in up else True
    near = sagemaker.query_lineage(StartArns=[place], Direction="Ascendants", MaxDepth=2, IncludeEdges=False)
    assert arns_of(near) == [model, job]
    down = sagemaker.query_lineage(StartArns=[data], Direction="Descendants", IncludeEdges=False)
    assert [(vertex["LineageType"], vertex["Type"]) for vertex in down["Vertices"]] == [
        ("Action", "Training"),
        ("Artifact", "Model"),
        ("Context", "Endpoint"),
    ]
    both = sagemaker.query_lineage(StartArns=[job], Direction="Both", IncludeEdges=False)
    assert set(arns_of(both)) == {data, model, place}


def test_edges_show_the_way_to_what_the_filters_ask_for(sagemaker: Any) -> None:
    data, other, job, model = (
        artifact(sagemaker),
        artifact(sagemaker),
        action(sagemaker),
        artifact(sagemaker, "Model"),
    )
    side = artifact(sagemaker, "Code", Properties={"commit": "abc"})
    connect(sagemaker, data, job, model)
    connect(sagemaker, other, job)
    connect(sagemaker, side, job)
    request = {"StartArns": [model], "Direction": "Ascendants", "Filters": {"Types": ["Code"]}}
    answer = sagemaker.query_lineage(**request, IncludeEdges=True)
    assert set(arns_of(answer)) == {model, job, side}
    assert {(edge["SourceArn"], edge["DestinationArn"]) for edge in answer["Edges"]} == {(job, model), (side, job)}
    assert arns_of(sagemaker.query_lineage(**request, IncludeEdges=False)) == [side]
    by_property = {"Properties": {"commit": "abc"}, "LineageTypes": ["Artifact"]}
    found = sagemaker.query_lineage(StartArns=[model], Filters=by_property, IncludeEdges=False)
    assert arns_of(found) == [side]


def test_a_cycle_ends_and_pages_are_complete(sagemaker: Any) -> None:
    ring = [artifact(sagemaker) for _ in range(5)]
    connect(sagemaker, *ring, ring[0])
    seen: list[str] = []
    request = {"StartArns": [ring[0]], "Direction": "Descendants", "IncludeEdges": False, "MaxResults": 3}
    while True:
        answer = sagemaker.query_lineage(**request)
        seen += arns_of(answer)
        if "NextToken" not in answer:
            break
        request["NextToken"] = answer["NextToken"]
    assert seen == ring[1:]
    with pytest.raises(sagemaker.exceptions.ResourceNotFound):
        sagemaker.query_lineage(StartArns=[f"{ring[0]}9"])
