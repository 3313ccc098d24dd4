from snapshot_restore_py import register_before_snapshot


@register_before_snapshot
def fail():
    raise RuntimeError("before fails")


def handler(event, context):
    return "served"
