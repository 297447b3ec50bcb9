"""Artifacts, actions and contexts: create, describe, update, list and delete, the same way for all three.

An artifact is known by its source, the others by their name.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from ml_platform.local_sagemaker.lineage.edges import edges_of
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError
from ml_platform.local_sagemaker.tags import drop_tags, put_tags

MAX_PROPERTIES = 30
UPDATABLE = ("ArtifactName", "Description", "Status")
TIMES = {"CreatedAfter": "CreationTimeAfter", "CreatedBefore": "CreationTimeBefore"}


@dataclass(frozen=True)
class Entity:
    """One kind of lineage entity: ``Artifact``, ``Action``, ``Context`` or, made by SageMaker only, ``TrialComponent``.

    Attributes:
        title: How operations and members call it.
        kind: Kind in the store and in ARNs.
    """

    title: str
    kind: str

    @property
    def arn_member(self) -> str:
        """``ArtifactArn`` and so on."""
        return f"{self.title}Arn"

    @property
    def name_member(self) -> str:
        """``ArtifactName`` and so on."""
        return f"{self.title}Name"

    @property
    def type_member(self) -> str:
        """``ArtifactType`` and so on."""
        return f"{self.title}Type"

    @property
    def listing(self) -> Listing:
        """How entities of this kind are listed."""
        filters = {"SourceUri": "Source.SourceUri", self.type_member: self.type_member}
        return Listing(kind=self.kind, member=f"{self.title}Summaries", filters=filters)


ENTITIES = tuple(Entity(title, title.lower()) for title in ("Artifact", "Action", "Context"))
TRIAL_COMPONENT = Entity("TrialComponent", "experiment-trial-component")
VERTICES = (*ENTITIES, TRIAL_COMPONENT)
BY_KIND = {entity.kind: entity for entity in VERTICES}
BY_TITLE = {entity.title: entity for entity in VERTICES}


def find_entity(service: Service, arn: str) -> tuple[Entity, dict[str, Any]]:
    """Return the entity with an ARN.

    Raises:
        AwsError: When there is none.
    """
    kind, _, name = arn.rpartition(":")[2].partition("/")
    entity = BY_KIND.get(kind)
    body = service.store.get(kind, name) if entity else None
    if entity is None or body is None or body[entity.arn_member] != arn:
        raise AwsError("ResourceNotFound", f"Lineage entity {arn} does not exist.")
    return entity, body


def _create(service: Service, entity: Entity, request: Request) -> Response:
    name = artifact_id(request["Source"]) if entity.title == "Artifact" else request[entity.name_member]
    arn = service.arn(entity.kind, name)
    _check_properties(request.get("Properties", {}))
    now = service.clock.timestamp()
    body = {
        **request,
        entity.arn_member: arn,
        "CreationTime": now,
        "CreatedBy": {},
        "LastModifiedTime": now,
        "LastModifiedBy": {},
    }
    body.pop("Tags", None)
    try:
        service.store.insert(entity.kind, name, body)
    except DuplicateError as error:
        raise validation(f"{entity.title} {arn} already exists.") from error
    put_tags(service, arn, request.get("Tags"))
    return {entity.arn_member: arn}


def artifact_id(source: dict[str, Any]) -> str:
    """Return the name of the artifact with a source: two with one source would be the same thing."""
    types = sorted((each["SourceIdType"], each["Value"]) for each in source.get("SourceTypes", []))
    return hashlib.md5(json.dumps([source["SourceUri"], types]).encode(), usedforsecurity=False).hexdigest()


def _check_properties(properties: dict[str, str]) -> None:
    if len(properties) > MAX_PROPERTIES:
        raise validation(f"A lineage entity has at most {MAX_PROPERTIES} properties.")


def _name_of(service: Service, entity: Entity, request: Request) -> str:
    """Return the store's name of the entity that a request names, by ARN, name or source."""
    asked: str | None = request.get(entity.arn_member) or request.get(entity.name_member)
    if entity.title == "Artifact":
        if (request.get(entity.arn_member) is None) == (request.get("Source") is None):
            raise validation("Provide exactly one of ArtifactArn and Source.")
        asked = request.get(entity.arn_member) or service.arn(entity.kind, artifact_id(request["Source"]))
    prefix = service.arn(entity.kind, "")
    name = (asked or "").removeprefix(prefix)
    if service.store.get(entity.kind, name) is None:
        raise AwsError("ResourceNotFound", f"{entity.title} {prefix}{name} does not exist.")
    return name


def _describe(service: Service, entity: Entity, request: Request) -> Response:
    return service.store.get(entity.kind, _name_of(service, entity, request)) or {}


def _update(service: Service, entity: Entity, request: Request) -> Response:
    name = _name_of(service, entity, request)
    now = service.clock.timestamp()

    def edit(body: dict[str, Any]) -> None:
        properties = dict(request.get("Properties", body.get("Properties", {})))
        for key in request.get("PropertiesToRemove", []):
            properties.pop(key, None)
        _check_properties(properties)
        body.update({member: request[member] for member in UPDATABLE if member in request})
        body.update(Properties=properties, LastModifiedTime=now)

    return {entity.arn_member: service.store.change(entity.kind, name, edit)[entity.arn_member]}


def _list(service: Service, entity: Entity, request: Request) -> Response:
    return list_page(service, entity.listing, {TIMES.get(member, member): value for member, value in request.items()})


def _delete(service: Service, entity: Entity, request: Request) -> Response:
    name = _name_of(service, entity, request)
    arn = service.arn(entity.kind, name)
    if edges_of(service, source=arn) or edges_of(service, destination=arn):
        raise validation(f"{entity.title} {arn} still has associations: delete them first.")
    service.store.delete(entity.kind, name)
    drop_tags(service, arn)
    return {entity.arn_member: arn}


def _register(entity: Entity) -> None:
    verbs = {"Create": _create, "Describe": _describe, "Update": _update, "Delete": _delete}
    for name, handle in (
        {f"{verb}{entity.title}": handle for verb, handle in verbs.items()} | {f"List{entity.title}s": _list}
    ).items():

        async def answer(service: Service, request: Request, handle: Any = handle) -> Response:
            response: Response = handle(service, entity, request)
            return response

        operation(name)(answer)


for _entity in ENTITIES:
    _register(_entity)
