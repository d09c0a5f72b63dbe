"""Deploys code locations: image, load check, release, and back if it does not become live.

| module | subject |
|---|---|
| `settings`, `repository` | bulkhead.toml, git |
| `sources`, `changed` | the code locations of a repository, what a commit changes |
| `deploys`, `location` | all deploys of a call; the stages of one |
| `lock`, `lease` | one deploy of a code location at a time |
| `build`, `image_stage` | the stage `image` |
| `check`, `load_check` | the stage `loads` |
| `release`, `rollout`, `helm`, `live` | the stages `release` and `live`, and the way back |
| `recording`, `records` | the history |
| `definitions` | what the last images define |
| `rollback`, `promotion`, `dry_run`, `values_file` | other ways to deploy |
| `pruning`, `image_use` | removes images that nothing needs; what needs which |
| `rerun` | launches a run again, with its original image if requested |
| `report`, `markdown_report`, `means`, `errors` | what a deploy prints, shares and raises |
"""
