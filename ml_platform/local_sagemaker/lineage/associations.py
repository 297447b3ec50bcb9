"""Associations: the directed edges between lineage entities."""

from ml_platform.local_sagemaker.lineage.edges import KIND, edge_name
from ml_platform.local_sagemaker.lineage.entities import TIMES, find_entity
from ml_platform.local_sagemaker.paging import Listing, list_page
from ml_platform.local_sagemaker.service import AwsError, Request, Response, Service, operation, validation
from ml_platform.local_sagemaker.store import DuplicateError

MEMBERS = ("SourceArn", "DestinationArn", "SourceType", "DestinationType")
LISTING = Listing(
    kind=KIND,
    member="AssociationSummaries",
    filters={member: member for member in (*MEMBERS, "AssociationType")},
    sorts={member: member for member in MEMBERS},
)


@operation("AddAssociation")
async def add_association(service: Service, request: Request) -> Response:
    """Connect two entities that exist."""
    source, destination = request["SourceArn"], request["DestinationArn"]
    if source == destination:
        raise validation("An association needs two different entities.")
    body = {**request, "CreationTime": service.clock.timestamp(), "CreatedBy": {}}
    for role, arn in (("Source", source), ("Destination", destination)):
        entity, found = find_entity(service, arn)
        body |= {f"{role}Type": found.get(entity.type_member), f"{role}Name": found.get(entity.name_member)}
    try:
        service.store.insert(KIND, edge_name(source, destination), body)
    except DuplicateError as error:
        raise validation(f"An association between {source} and {destination} already exists.") from error
    return {"SourceArn": source, "DestinationArn": destination}


@operation("DeleteAssociation")
async def delete_association(service: Service, request: Request) -> Response:
    """Part two entities."""
    source, destination = request["SourceArn"], request["DestinationArn"]
    if not service.store.delete(KIND, edge_name(source, destination)):
        raise AwsError("ResourceNotFound", f"There is no association between {source} and {destination}.")
    return {"SourceArn": source, "DestinationArn": destination}


@operation("ListAssociations")
async def list_associations(service: Service, request: Request) -> Response:
    """Return a page of associations."""
    return list_page(service, LISTING, {TIMES.get(member, member): value for member, value in request.items()})
