"""Imports what the todos example imports, and answers at once."""

import os

import boto3
import psycopg
from aws_lambda_powertools import Logger, Tracer
from aws_lambda_powertools.event_handler import APIGatewayRestResolver

app = APIGatewayRestResolver()
logger = Logger(service="bench")
tracer = Tracer(service="bench")
client = boto3.client("dsql", region_name="us-east-1")


def handler(event, context):
    if event.get("exit"):
        os._exit(0)
    return {"psycopg": psycopg.__version__}
