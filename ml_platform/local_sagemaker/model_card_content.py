"""What a model card's content may be: SageMaker's model card JSON schema, as far as its sections.

The card's own life (versions, status) is ``model_cards``; cards inside model packages have the same content.
"""

import json
from typing import Any

from ml_platform.local_sagemaker.service import AwsError, validation

SECTIONS: dict[str, type] = {
    "model_overview": dict,
    "intended_uses": dict,
    "business_details": dict,
    "training_details": dict,
    "evaluation_details": list,
    "additional_information": dict,
    "model_package_details": dict,
}
RISK_RATINGS = ("High", "Medium", "Low", "Unknown")
# What a reader without the customer's key may see of a card.
METADATA = (("model_overview", "model_id"), ("model_overview", "model_name"), ("intended_uses", "risk_rating"))


def check_content(content: str) -> dict[str, Any]:
    """Return the content as a document.

    Raises:
        AwsError: When it is not JSON, or breaks the schema.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _refusal(f"it is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise _refusal("it must be a JSON object")
    for name, section in document.items():
        if name not in SECTIONS:
            raise _refusal(f"#: extraneous key [{name}] is not permitted")
        if not isinstance(section, SECTIONS[name]):
            noun = "array" if SECTIONS[name] is list else "object"
            raise _refusal(f"#/{name}: expected a JSON {noun}")
    rating = document.get("intended_uses", {}).get("risk_rating")
    if rating is not None and rating not in RISK_RATINGS:
        raise _refusal(f"#/intended_uses/risk_rating: {json.dumps(rating)} is not a valid enum value")
    return document


def metadata_only(content: str) -> str:
    """Return the content with nothing but what is never encrypted."""
    document = json.loads(content)
    kept: dict[str, dict[str, Any]] = {}
    for section, member in METADATA:
        if member in document.get(section, {}):
            kept.setdefault(section, {})[member] = document[section][member]
    return json.dumps(kept)


def _refusal(reason: str) -> AwsError:
    return validation(f"Model card content does not match the model card JSON schema: {reason}")
