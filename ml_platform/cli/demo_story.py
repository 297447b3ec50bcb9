"""The demo's story, stage by stage. Each stage ends by asserting that what it promised is so."""

from collections.abc import Sequence
from datetime import date, timedelta

from dagster import DagsterInstance

from ml_platform.aws import model_packages
from ml_platform.aws.manifests import Manifests
from ml_platform.aws.model_packages import ModelPackage
from ml_platform.aws.objects import ObjectStore
from ml_platform.batch.run import BatchScores
from ml_platform.cli.demo_home import HISTORY_DAYS, LIVE_DAYS, MATURING_DAYS
from ml_platform.cli.demo_report import Facts, Narrator, figures
from ml_platform.cli.local_faults import add_fault, clear_fault
from ml_platform.cli.runs import Run, RunFailedError, Runs
from ml_platform.cli.traffic import Tally, features_of_day, replay_day, steady_client
from ml_platform.components import payments
from ml_platform.core import names
from ml_platform.core.clock import utc_now
from ml_platform.core.errors import MLPlatformError
from ml_platform.core.settings import Settings
from ml_platform.defs.model_graph import MONITORING_STAGE, TRAINING_STAGE
from ml_platform.evaluation.evidence import PromotionEvidence
from ml_platform.modeling.reasons import MAX_REASONS
from ml_platform.monitoring.decision import OperatingDecision
from ml_platform.monitoring.drift import DriftReport
from ml_platform.registry import lookup
from ml_platform.resources.governance import Governance
from ml_platform.resources.payment_decisions import FittedPolicy
from ml_platform.scoring.policy_in_force import PolicyInForce
from ml_platform.scoring.transaction import Scorer

MODEL = "card_fraud"
REVIEWER = "demo-reviewer"
"""Who trained a model cannot approve it, so the story has two people."""
DAILY_ASSETS = tuple(key.to_user_string() for key in payments.DAILY)


class DemoError(MLPlatformError):
    """A step of the demo did not hold."""


class Story:
    """One telling. Days are counted from the first day of the simulated history."""

    def __init__(self, settings: Settings, narrator: Narrator) -> None:
        from ml_platform.cli.code_location import load_definitions

        self.settings = settings
        self.narrator = narrator
        self.facts = Facts()
        self.runs = Runs(load_definitions(), DagsterInstance.from_config(str(settings.dagster_home)))
        store = ObjectStore.from_settings(settings)
        self.manifests = Manifests(store, MODEL)
        policy = PolicyInForce(store, MODEL)
        self.scorer = Scorer(settings, names.endpoint(MODEL), reasons=MAX_REASONS, policy=policy)
        self.tally = Tally()

    def tell(self) -> None:
        """Tell all of it."""
        live_from, matured = HISTORY_DAYS, HISTORY_DAYS + LIVE_DAYS + MATURING_DAYS
        with self.narrator.stage("history", f"{HISTORY_DAYS} days of payments land; features are computed"):
            self.land(0, live_from - 1)
        with self.narrator.stage("first_training", "A first model is trained and judged"):
            self.train_champion(live_from)
        with self.narrator.stage("first_deployment", "It is approved, and the sensor puts it live"):
            self.approve_and_deploy()
        with self.narrator.stage("bad_candidate", "A candidate trained on shuffled labels meets the gate"):
            self.stop_bad_candidate()
        with self.narrator.stage("live_week", "A week of live payments, during which prices rise"):
            self.live_week(live_from)
        with self.narrator.stage("labels_mature", f"{MATURING_DAYS} more days land: the week's labels become known"):
            self.land(live_from + LIVE_DAYS, matured - 1)
        with self.narrator.stage("monitoring", "What was served is compared with what was trained on, and with labels"):
            self.monitor()
        with self.narrator.stage("retraining", "The sensor launches retraining; the gate compares with the champion"):
            self.retrain()
        with self.narrator.stage("bad_rollout", "The challenger is approved, but its server fails under traffic"):
            self.survive_bad_rollout(live_from)
        with self.narrator.stage("second_deployment", "Repaired, the challenger goes live under a steady client"):
            self.deploy_under_traffic(live_from)
        self.facts.requests_sent, self.facts.requests_failed = self.tally.sent, self.tally.failed
        self.expect(not self.tally.failed, f"{self.tally.failed} requests failed: {'; '.join(self.tally.errors)}")

    def expect(self, condition: bool, otherwise: str) -> None:  # noqa: FBT001  # reads as an assertion
        """Raise unless a promise of the story holds."""
        if not condition:
            raise DemoError(
                f"{otherwise} State is kept: `make dev` shows the runs. Running the demo again starts afresh."
            )

    def day(self, number: int) -> date:
        """Return a day of the story."""
        return self.settings.history_start + timedelta(days=number)

    def land(self, first: int, last: int) -> Run:
        """Land days as one run, through to the online store."""
        run = self.runs.materialize(DAILY_ASSETS, days=(self.day(first), self.day(last)))
        failed = [check.check_name for check in run.checks if not check.passed]
        self.expect(not failed, f"Checks failed: {', '.join(failed)}.")
        self.narrator.say(f"{self.day(first)} to {self.day(last)}: landed, checked, and in the online store")
        return run

    def stage_keys(self, stage: Sequence[str]) -> list[str]:
        """Return the asset paths of a stage of the demo's model."""
        return [f"{MODEL}/{asset}" for asset in stage]

    def train_champion(self, as_of: int) -> None:
        """Train, judge and register the first model."""
        run = self.runs.materialize(
            [*self.stage_keys(TRAINING_STAGE), f"{MODEL}/batch_scores"],
            ops={f"{MODEL}__training_set": {"config": {"as_of": self.day(as_of).isoformat()}}},
        )
        evidence = self.manifests.read("evaluation_report", PromotionEvidence)
        self.expect(not run.blocked_by(), f"The first model did not pass the gate: {'; '.join(evidence.failures)}.")
        self.facts.champion = evidence.challenger.model_dump(mode="json")
        batch = self.manifests.read("batch_scores", BatchScores)
        self.facts.batch_rows_scored = batch.rows
        self.narrator.say(f"holdout of {evidence.challenger.rows} payments: {figures(self.facts.champion)}")
        self.narrator.say(f"batch: {batch.rows} payments of the newest day scored by transform job {batch.job_name}")

    def approve_and_deploy(self) -> None:
        """Approve the pending package as a reviewer would, and tick the sensor that deploys."""
        approved = self.approve()
        runs, skipped = self.runs.tick("approved_package_goes_live")
        self.expect(len(runs) == 1, f"The approval sensor launched {len(runs)} runs ({skipped}).")
        self.expect_live(approved)
        self.fit_policy()

    def approve(self) -> str:
        """Approve the pending package as a reviewer would, and return its ARN."""
        region = self.settings.region
        pending = lookup.list_packages(region, names.model_package_group(MODEL), model_packages.PENDING)
        self.expect(bool(pending), "No package waits for approval.")
        Governance(self.settings, MODEL).approve(
            pending[0], by=REVIEWER, reason="passed the gate; the card was read", at=utc_now()
        )
        return pending[0].arn

    def expect_live(self, package_arn: str) -> None:
        """Raise unless the endpoint serves a package."""
        live = lookup.live_package(self.settings.region, names.endpoint(MODEL))
        if live is None or live.package.arn != package_arn:
            raise DemoError("The endpoint does not serve the approved package.")
        self.facts.live_model_package = live.package.arn
        self.narrator.say(f"endpoint {live.endpoint} serves version {live.package.version}")

    def fit_policy(self) -> None:
        """Fit the decision policy on the scores of what is live, as the automation does after each deployment."""
        self.runs.materialize([f"{MODEL}/decision_policy"])
        fitted = self.manifests.read("decision_policy", FittedPolicy)
        version = fitted.package_version
        self.narrator.say(f"policy {fitted.policy.version} decides, fitted on version {version}'s scores")

    def stop_bad_candidate(self) -> None:
        """Train on shuffled labels; the blocking check must stop the candidate before the registry."""
        run = self.runs.materialize(
            self.stage_keys(TRAINING_STAGE[1:]),
            ops={f"{MODEL}__model_candidate": {"config": {"shuffle_labels": True}}},
            tags={"ml_platform/reason": "the demo's bad candidate: labels shuffled"},
        )
        evidence = self.manifests.read("evaluation_report", PromotionEvidence)
        self.expect(bool(run.blocked_by()), "The gate let a candidate through that was trained on shuffled labels.")
        self.expect(
            f"{MODEL}/model_package" not in run.materialized, "A stopped candidate was registered all the same."
        )
        self.facts.gate_failures = list(evidence.failures)
        self.narrator.say("stopped by challenger_earns_promotion:")
        for failure in evidence.failures:
            self.narrator.say(f"  - {failure}")

    def live_week(self, first: int) -> None:
        """Each day: payments are scored as they come; the night lands them and brings the online store up to date."""
        with self.narrator.steps("live days", LIVE_DAYS) as advance:
            for number in range(first, first + LIVE_DAYS):
                replay_day(self.settings, self.scorer, self.day(number), self.tally)
                self.runs.materialize(DAILY_ASSETS, partition=self.day(number).isoformat())
                advance()
        self.narrator.say(f"{self.tally.sent} requests, {self.tally.failed} failed")

    def monitor(self) -> None:
        """Read the captured traffic, judge drift and performance, and decide."""
        hour = utc_now().replace(minute=0, second=0, microsecond=0)
        for captured in (hour - timedelta(hours=1), hour):
            self.runs.materialize([f"{MODEL}/captured_traffic"], partition=captured.strftime("%Y-%m-%d-%H:%M"))
        self.runs.materialize(self.stage_keys(MONITORING_STAGE))
        drift = self.manifests.read("drift_report", DriftReport)
        decision = self.manifests.read("operating_decision", OperatingDecision)
        self.facts.drift_alerts = list(drift.alerts)
        self.facts.decision, self.facts.decision_reasons = decision.action, list(decision.reasons)
        self.narrator.say(f"drifted: {', '.join(drift.alerts) or 'nothing'}")
        self.narrator.say(f"decision: {decision.action}")
        for reason in decision.reasons:
            self.narrator.say(f"  - {reason}")
        self.expect(decision.action == "retrain", f"The shift should call for retraining, not for {decision.action}.")

    def retrain(self) -> None:
        """Tick the sensor that turns a decision into a run; its candidate must beat the champion."""
        runs, skipped = self.runs.tick("operating_decision_retrains")
        self.expect(len(runs) == 1, f"The decision sensor launched {len(runs)} runs ({skipped}).")
        evidence = self.manifests.read("evaluation_report", PromotionEvidence)
        self.facts.challenger = evidence.challenger.model_dump(mode="json")
        if evidence.champion is not None:
            self.facts.champion_on_challengers_window = evidence.champion.model_dump(mode="json")
        self.facts.retrained_by = f"sensor operating_decision_retrains, run {runs[0].run_id[:8]}"
        self.narrator.say(f"challenger: {figures(self.facts.challenger)}")
        self.narrator.say(f"champion on the same rows: {figures(self.facts.champion_on_challengers_window)}")
        self.expect(not runs[0].blocked_by(), f"The challenger did not pass: {'; '.join(evidence.failures)}.")

    def survive_bad_rollout(self, day: int) -> None:
        """Roll out the challenger while its server answers with errors: the canary's alarm must bring v1 back."""
        region, champion, endpoint = self.settings.region, self.facts.live_model_package, names.endpoint(MODEL)
        self.approve()
        package = self.manifests.read("model_package", ModelPackage)
        fault = add_fault("error-response", f"{endpoint}/{endpoint}-v{package.version}-*", {"status": 500})
        (features,) = features_of_day(self.settings, self.day(day), 1)
        tally = Tally()
        try:
            with steady_client(self.scorer, features, tally):
                self.runs.tick("approved_package_goes_live")
        except RunFailedError as error:
            self.facts.rollback_reason = str(error)
        finally:
            clear_fault(fault)
        live = lookup.live_package(region, endpoint)
        self.expect(live is not None and live.package.arn == champion, "The bad rollout did not come back.")
        self.expect(bool(self.facts.rollback_reason), "The deployment claims success although it was rolled back.")
        self.expect(tally.failed > 0, "The bad server was never asked, so nothing was proven.")
        self.facts.rollout_rolled_back = True
        self.facts.requests_failed_by_bad_variant = tally.failed
        self.narrator.say(f"{tally.failed} of {tally.sent} requests failed before the alarm brought the champion back")
        self.narrator.say(f"the platform says: {self.facts.rollback_reason}")

    def deploy_under_traffic(self, day: int) -> None:
        """Swap the model while a client sends without pause. After a failed rollout a person asks for the next one."""
        sent_before = self.tally.sent
        package = self.manifests.read("model_package", ModelPackage)
        (features,) = features_of_day(self.settings, self.day(day), 1)
        with steady_client(self.scorer, features, self.tally):
            self.runs.materialize([f"{MODEL}/live_endpoint"])
        self.expect_live(package.arn)
        self.fit_policy()
        self.narrator.say(f"{self.tally.sent - sent_before} requests during the swap, {self.tally.failed} failed")
