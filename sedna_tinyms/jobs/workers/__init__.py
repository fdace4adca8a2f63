"""Workers as processes: how they are started, told what to do, listened to, and ended.

`command` and `environment` say what to start, `worker` starts it (`lifeline` ties it to the
runner), `endpoint` takes its reports, `supervisor` keeps them all. `stage_worker` is a train or
eval worker from start to verdict, `inference` the one that stays.
"""
