"""The GraphQL documents that the tests send to Dagster's web server."""

from __future__ import annotations

_ERROR = """
fragment error on PythonError {
  message className stack
  cause { message className stack cause { message className stack } }
}
"""

_ENTRY = """
fragment entry on MetadataEntry {
  label
  ... on TextMetadataEntry { text }
  ... on IntMetadataEntry { intRepr }
  ... on FloatMetadataEntry { floatValue }
  ... on JsonMetadataEntry { jsonString }
  ... on BoolMetadataEntry { boolValue }
  ... on MarkdownMetadataEntry { mdStr }
  ... on PathMetadataEntry { path }
  ... on UrlMetadataEntry { url }
}
"""

LOCATIONS = (
    _ERROR
    + """
query Locations {
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError {
          __typename
          ... on RepositoryLocation {
            dagsterLibraryVersions { name version }
            repositories { name jobs { name } }
          }
          ...error
        }
      }
    }
    ...error
  }
}
"""
)

LAUNCH = (
    _ERROR
    + """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ...error
  }
}
"""
)

REEXECUTE = (
    _ERROR
    + """
mutation Reexecute($params: ExecutionParams!) {
  launchRunReexecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on InvalidStepError { invalidStepKey }
    ...error
  }
}
"""
)

RUN = """
query Run($runId: ID!) {
  runOrError(runId: $runId) {
    __typename
    ... on Run {
      runId jobName status parentRunId rootRunId creationTime startTime endTime runConfig
      repositoryOrigin { repositoryLocationName repositoryName }
      tags { key value }
      stepStats { stepKey status startTime endTime attempts { startTime endTime } }
    }
  }
}
"""

EVENTS = (
    _ERROR
    + _ENTRY
    + """
query Events($runId: ID!, $cursor: String) {
  logsForRun(runId: $runId, afterCursor: $cursor, limit: 1000) {
    __typename
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on MessageEvent { message timestamp level stepKey eventType }
        ... on ErrorEvent { error { ...error } }
        ... on LogsCapturedEvent { fileKey stepKeys }
        ... on MaterializationEvent { assetKey { path } }
        ... on ExecutionStepFailureEvent { failureMetadata { metadataEntries { ...entry } } }
        ... on ExecutionStepOutputEvent { outputName metadataEntries { ...entry } }
        ... on DisplayableEvent { metadataEntries { ...entry } }
      }
    }
    ...error
  }
}
"""
)

CAPTURED = """
query Captured($runId: ID!, $fileKey: String!) {
  runOrError(runId: $runId) {
    ... on Run { capturedLogs(fileKey: $fileKey) { stdout stderr } }
  }
}
"""

RUNS = """
query Runs($filter: RunsFilter!, $limit: Int) {
  runsOrError(filter: $filter, limit: $limit) {
    __typename
    ... on Runs { results { runId status parentRunId rootRunId } }
  }
}
"""

RUN_GROUP = """
query RunGroup($runId: ID!) {
  runGroupOrError(runId: $runId) {
    __typename
    ... on RunGroup { runs { runId status parentRunId rootRunId creationTime } }
  }
}
"""

TERMINATE = (
    _ERROR
    + """
mutation Terminate($runId: String!) {
  terminateRun(runId: $runId) {
    __typename
    ... on TerminateRunFailure { message }
    ...error
  }
}
"""
)

DELETE_RUN = (
    _ERROR
    + """
mutation DeleteRun($runId: String!) {
  deleteRun(runId: $runId) {
    __typename
    ... on RunNotFoundError { message }
    ...error
  }
}
"""
)

DAEMONS = """
query Daemons {
  version
  instance { daemonHealth { allDaemonStatuses {
    daemonType required healthy lastHeartbeatErrors { message }
  } } }
}
"""

INSTIGATOR = """
query Instigator($selector: InstigationSelector!) {
  instigationStateOrError(instigationSelector: $selector) {
    __typename
    ... on InstigationState {
      id selectorId status
      ticks(limit: 20) { status timestamp runIds skipReason error { message } }
    }
  }
}
"""

START_SCHEDULE = (
    _ERROR
    + """
mutation StartSchedule($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) {
    __typename
    ... on ScheduleNotFoundError { message }
    ...error
  }
}
"""
)

STOP_SCHEDULE = (
    _ERROR
    + """
mutation StopSchedule($id: String!) {
  stopRunningSchedule(id: $id) { __typename ...error }
}
"""
)

START_SENSOR = (
    _ERROR
    + """
mutation StartSensor($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ...error }
}
"""
)

STOP_SENSOR = (
    _ERROR
    + """
mutation StopSensor($id: String!) {
  stopSensor(id: $id) { __typename ...error }
}
"""
)

ASSET = (
    _ENTRY
    + """
query Asset($key: AssetKeyInput!, $limit: Int!) {
  assetOrError(assetKey: $key) {
    __typename
    ... on Asset {
      assetMaterializations(limit: $limit) {
        runId partition timestamp
        metadataEntries { ...entry }
      }
    }
  }
}
"""
)

ASSETS = """
query Assets {
  assetNodes {
    assetKey { path }
    description
    repository { location { name } }
    dependencyKeys { path }
    dependedByKeys { path }
  }
}
"""

CHECKS = (
    _ENTRY
    + """
query Checks($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode { assetChecksOrError { ... on AssetChecks { checks {
      name
      executionForLatestMaterialization {
        runId
        status
        evaluation { description metadataEntries { ...entry } }
      }
    } } } }
  }
}
"""
)

FRESHNESS = """
query Freshness($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode { freshnessStatusInfo { freshnessStatus } }
  }
}
"""

LAUNCH_BACKFILL = (
    _ERROR
    + """
mutation LaunchBackfill($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ...error
  }
}
"""
)

BACKFILL = (
    _ERROR
    + """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status error { ...error } }
    ...error
  }
}
"""
)
