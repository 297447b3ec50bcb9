"""The lineage that SageMaker writes by itself: of jobs, model packages and endpoints, as they come and change.

What is tracked is ``sources``; what users write is ``entities`` and ``associations``, into the same graph. Everything
is written in the transaction of the change that it tells of, and once: entities that are there are used again.
"""

import logging
from collections.abc import Iterator
from typing import Any

from ml_platform.local_sagemaker.lineage.edges import KIND as EDGE_KIND
from ml_platform.local_sagemaker.lineage.edges import edge_name
from ml_platform.local_sagemaker.lineage.entities import BY_TITLE, TRIAL_COMPONENT, Entity, artifact_id, find_entity
from ml_platform.local_sagemaker.lineage.sources import JOBS, JobKind, Link, container_links
from ml_platform.local_sagemaker.service import Request, Response, Service, not_found, operation

logger = logging.getLogger(__name__)

Body = dict[str, Any]
ARTIFACT, ACTION, CONTEXT = (BY_TITLE[title] for title in ("Artifact", "Action", "Context"))
CONTRIBUTED, PRODUCED, ASSOCIATED = "ContributedTo", "Produced", "AssociatedWith"
MODEL_PACKAGE, ENDPOINT = "model-package", "endpoint"
LONGEST_NAME = 120


def attach(service: Service) -> None:
    """Let a service write its own lineage from now on."""
    service.store.watch((*JOBS, MODEL_PACKAGE, ENDPOINT), _Writer(service).note)


@operation("DescribeTrialComponent")
async def describe_trial_component(service: Service, request: Request) -> Response:
    """Return the trial component that SageMaker made for a job: others cannot be here."""
    name = request["TrialComponentName"].rpartition("/")[2]
    body = service.store.get(TRIAL_COMPONENT.kind, name)
    if body is None:
        raise not_found(f"Trial component {service.arn(TRIAL_COMPONENT.kind, name)} does not exist.")
    return body


class _Writer:
    """Writes lineage entities and associations."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._store = service.store

    def note(self, kind: str, before: Body | None, after: Body | None) -> None:
        """Write what a change adds to the graph; what is gone stays in it, as on AWS."""
        if after is None:
            return
        try:
            if kind in JOBS:
                self._job(JOBS[kind], before, after)
            elif kind == MODEL_PACKAGE:
                self._package(before, after)
            elif (before or {}).get("EndpointStatus") != "InService" == after["EndpointStatus"]:
                self._endpoint(after)
        except Exception:
            # The user's own request must not fail for what is only a record of it.
            logger.exception("the lineage of a %s could not be written", kind)

    def _job(self, kind: JobKind, before: Body | None, job: Body) -> None:
        status = job[f"{kind.title}Status"]
        if before is not None and before[f"{kind.title}Status"] == status:
            return
        name = kind.component(job)
        told = {
            "TrialComponentType": kind.source_type,
            "DisplayName": name,
            "Source": {"SourceArn": job[f"{kind.title}Arn"], "SourceType": kind.source_type},
            "Status": {"PrimaryStatus": status, "Message": job.get("FailureReason")},
            "StartTime": job.get(f"{kind.title.removesuffix('Job')}StartTime"),
            "EndTime": job.get(f"{kind.title.removesuffix('Job')}EndTime"),
        }
        component = self._entity(TRIAL_COMPONENT, name, told)
        now = self._service.clock.timestamp()
        self._store.update(TRIAL_COMPONENT.kind, component.rpartition("/")[2], **told, LastModifiedTime=now)
        self._link(component, kind.links(job))

    def _package(self, before: Body | None, package: Body) -> None:
        arn = package["ModelPackageArn"]
        artifact = self._artifact(Link(arn, "ModelPackage"))
        specification = package.get("InferenceSpecification", {})
        self._link(artifact, container_links(specification.get("Containers", [])))
        if "ModelPackageVersion" not in package:
            return
        base = f"{package['ModelPackageGroupName']}-{package['ModelPackageVersion']}"
        group = self._service.arn("model-package-group", package["ModelPackageGroupName"])
        context = self._context(f"{base}-aws-model-group", "ModelGroup", group)
        self._connect(artifact, context, ASSOCIATED)
        status = package.get("ModelApprovalStatus")
        if (before or {}).get("ModelApprovalStatus") != status != "PendingManualApproval":
            now = round(self._service.clock.timestamp())
            action = self._action(f"{base}-{status}-{now}-aws-model-group", "Approval", arn)
            self._connect(action, artifact, CONTRIBUTED)

    def _endpoint(self, endpoint: Body) -> None:
        """An endpoint came into service, or did so again with another config."""
        name, arn = endpoint["EndpointName"], endpoint["EndpointArn"]
        context = self._context(f"{name}-aws-endpoint", "Endpoint", arn)
        config = self._store.get("endpoint-config", endpoint["EndpointConfigName"]) or {}
        action = self._action(f"{name}-{endpoint['EndpointConfigName']}-aws-endpoint", "ModelDeployment", arn)
        self._connect(action, context, ASSOCIATED)
        for variant in config.get("ProductionVariants", []):
            model = self._store.get("model", variant.get("ModelName", "")) or {}
            containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else model.get("Containers", [])
            self._link(action, container_links(containers))
            for container in containers:
                if package := container.get("ModelPackageName"):
                    self._connect(self._artifact(Link(package, "ModelPackage")), action, CONTRIBUTED)

    def _link(self, arn: str, links: Iterator[Link]) -> None:
        for link in links:
            artifact = self._artifact(link)
            if link.produced:
                self._connect(arn, artifact, PRODUCED)
            else:
                self._connect(artifact, arn, CONTRIBUTED)

    def _artifact(self, link: Link) -> str:
        source = {"SourceUri": link.uri}
        return self._entity(ARTIFACT, artifact_id(source), {"ArtifactType": link.artifact_type, "Source": source})

    def _action(self, name: str, kind: str, source: str) -> str:
        return self._entity(ACTION, name, {"ActionType": kind, "Source": {"SourceUri": source}, "Status": "Completed"})

    def _context(self, name: str, kind: str, source: str) -> str:
        return self._entity(CONTEXT, name, {"ContextType": kind, "Source": {"SourceUri": source}})

    def _entity(self, entity: Entity, name: str, members: Body) -> str:
        """Return the ARN of an entity that is there, or is now."""
        # The end tells entities apart: what is too long loses its beginning.
        name = name[-LONGEST_NAME:].lstrip("-")
        arn = self._service.arn(entity.kind, name)
        now = self._service.clock.timestamp()
        own = {
            entity.arn_member: arn,
            "CreationTime": now,
            "CreatedBy": {},
            "LastModifiedTime": now,
            "LastModifiedBy": {},
        }
        if entity is not ARTIFACT:
            own[entity.name_member] = name
        if self._store.get(entity.kind, name) is None:
            self._store.insert(entity.kind, name, {key: value for key, value in (members | own).items() if value})
        return arn

    def _connect(self, source: str, destination: str, kind: str) -> None:
        body = {
            "SourceArn": source,
            "DestinationArn": destination,
            "AssociationType": kind,
            "CreationTime": self._service.clock.timestamp(),
            "CreatedBy": {},
        }
        for role, arn in (("Source", source), ("Destination", destination)):
            entity, found = find_entity(self._service, arn)
            body |= {f"{role}Type": found.get(entity.type_member), f"{role}Name": found.get(entity.name_member)}
        if self._store.get(EDGE_KIND, edge_name(source, destination)) is None:
            self._store.insert(EDGE_KIND, edge_name(source, destination), body)
