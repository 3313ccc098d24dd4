from snapshot_restore_py import register_after_restore


@register_after_restore
def fail():
    raise RuntimeError("after fails")


def handler(event, context):
    return "served"
