import argparse
import asyncio
import concurrent.futures
import csv
import dataclasses
import decimal
import email.mime.text
import http.client
import inspect
import json
import logging.config
import multiprocessing
import sqlite3
import typing
import unittest
import xml.etree.ElementTree

from last_line import done

done()
