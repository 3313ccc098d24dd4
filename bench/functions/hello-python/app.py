"""A function that does nothing but answer: what is left is the way to it and back."""
import json


def handler(event, context):
    return {"statusCode": 200, "body": json.dumps({"hello": event["pathParameters"]["name"]})}
