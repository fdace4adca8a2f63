"""Readers of the dataset files that a job hands to its workers."""

from sedna_tinyms.sedna.datasources.base import BaseDataSource
from sedna_tinyms.sedna.datasources.coco import JSONDataParse
from sedna_tinyms.sedna.datasources.table import CSVDataParse
from sedna_tinyms.sedna.datasources.text import TxtDataParse

__all__ = ["BaseDataSource", "CSVDataParse", "JSONDataParse", "TxtDataParse"]
