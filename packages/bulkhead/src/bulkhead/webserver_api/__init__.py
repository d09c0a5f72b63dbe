"""The GraphQL API of Dagster's web server: one client, and the requests that several parts send.

| module | subject |
|---|---|
| `client` | `GraphQLClient`: sends a document, returns its data |
| `transports` | how a document travels: to an address, or through the Kubernetes API server |
| `errors` | what can go wrong |
| `workspace` | the code locations that the web server knows; reloads them |
| `definitions` | assets, running schedules and sensors of a code location |
| `runs` | launches runs; reads their statuses and events |
| `daemons` | whether Dagster's daemons are alive |

Everything here is imported beside every web server and daemon: it needs urllib3 and nothing of
Dagster or of the `kubernetes` package.
"""
