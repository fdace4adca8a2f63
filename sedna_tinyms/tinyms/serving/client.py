"""Asks a server, which transforms pictures and words outputs itself unless a dataset is named."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sedna_tinyms.errors import ConfigurationError, DatasetError, EndpointError, did_you_mean
from sedna_tinyms.tinyms.serving.architectures import dataset_transform
from sedna_tinyms.tinyms.serving.servable import STRATEGIES
from sedna_tinyms.tinyms.serving.settings import (
    DEFAULT_HOST,
    DEFAULT_PORT,
    TOKEN_VARIABLE,
    is_loopback,
)

if TYPE_CHECKING:
    import requests

__all__ = ["Client"]

TIMEOUT_SECONDS = (5.0, 90.0)
"""To connect, and between two parts of an answer; a server may be compiling a network."""


class Client:
    """A client of one server.

    Parameters
    ----------
    host, port
        Where the server listens.
    token : str, optional
        What the server asks for. By default what the environment variable
        ``SEDNA_TINYMS_SERVING_TOKEN`` holds.
    """

    def __init__(
        self, host: str = DEFAULT_HOST, port: int = DEFAULT_PORT, *, token: str | None = None
    ) -> None:
        self.host = host
        self.port = port
        self._token = os.environ.get(TOKEN_VARIABLE, "") if token is None else token

    def list_servables(self) -> list[dict[str, Any]]:
        """Return what the server serves, as servable.json describes it and more.

        Raises
        ------
        EndpointError
            If the server cannot be reached.
        """
        servables: list[dict[str, Any]] = self._ask("GET", "/servables")["servables"]
        return servables

    def predict(
        self,
        img_path: str | os.PathLike[str],
        servable_name: str,
        dataset_name: str | None = None,
        strategy: str = "TOP1_CLASS",
    ) -> Any:
        """Predict for one picture file.

        Parameters
        ----------
        img_path : path
            The picture.
        servable_name : str
            One of `list_servables`.
        dataset_name : str, optional
            By default the server transforms the picture as the servable wants it, and names the
            servable's classes. Else the picture is transformed here, and the output put into words
            here, as this dataset's are: mnist, cifar10, imagefolder, imagenet2012, voc, shanshui.
        strategy : {"TOP1_CLASS", "TOP3_CLASS", "TOP5_CLASS"}
            How many classes to name.

        Returns
        -------
        str or list of dict
            ``TOP1: <label>, score: <score>``, or the boxes that were found.

        Raises
        ------
        DatasetError
            If the picture's file cannot be read.
        ConfigurationError
            If the dataset, the strategy or the servable is unknown, or they do not fit.
        EndpointError
            If the server cannot be reached, or fails.
        """
        if strategy not in STRATEGIES:
            raise ConfigurationError(
                f"unknown strategy {strategy!r}{did_you_mean(strategy, STRATEGIES)}; "
                f"one of {', '.join(STRATEGIES)}",
                code="unknown-name",
                name="strategy",
                value=strategy,
                valid=tuple(STRATEGIES),
            )
        body = {"servable_name": servable_name, "strategy": strategy}
        if dataset_name is None:
            return self._predict_file(img_path, body)
        return self._predict_transformed(img_path, dataset_name, body)

    def _predict_file(self, path: str | os.PathLike[str], body: dict[str, Any]) -> Any:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            raise DatasetError(
                f"the picture {path} cannot be read: {error.strerror}",
                code="missing-file" if missing else "unreadable-file",
                path=path,
            ) from error
        body["data"] = base64.b64encode(content).decode("ascii")
        words: str = self._ask("POST", "/predict", body)["instance"]["res_msg"]
        return json.loads(words) if words.startswith("[") else words  # boxes are a JSON list

    def _predict_transformed(
        self, path: str | os.PathLike[str], dataset_name: str, body: dict[str, Any]
    ) -> Any:
        transform = dataset_transform(dataset_name)
        from sedna_tinyms.tinyms.data import load_img

        picture = load_img(path)
        inputs = transform(picture)
        body["instance"] = {
            "shape": list(inputs.shape),
            "dtype": str(inputs.dtype),
            "data": json.dumps(inputs.tolist()),
        }
        outputs = np.array(json.loads(self._ask("POST", "/predict", body)["instance"]["data"]))
        if outputs.ndim == 3:
            return transform.postprocess(outputs, (picture.height, picture.width), body["strategy"])
        return transform.postprocess(outputs, body["strategy"])

    def is_tinyms_server(self) -> bool:
        """Whether a server of this kind answers, whatever token it wants."""
        try:
            answer = self._request("GET", "/v2/health/live")
            return bool(answer.json() == {"live": True})
        except (EndpointError, ValueError):
            return False

    def _ask(self, method: str, route: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        answer = self._request(method, route, body)
        try:
            content = answer.json()
            refused = content["status"] != 0 or not answer.ok
            reason = content.get("err_msg")
        except (ValueError, KeyError, TypeError, AttributeError):
            raise EndpointError(
                f"{self._url} answers with status {answer.status_code} and no JSON of TinyMS's: "
                "another server may have the port",
                code="foreign-server",
                url=self._url,
                status=answer.status_code,
            ) from None
        if refused:
            wrong_request = answer.status_code in (200, 400, 404, 413)
            kind = ConfigurationError if wrong_request else EndpointError
            raise kind(
                f"{self._url} refuses: {reason}",
                code=str(content.get("code") or "refused"),
                url=self._url,
                status=answer.status_code,
            )
        return dict(content)

    def _request(
        self, method: str, route: str, body: dict[str, Any] | None = None
    ) -> requests.Response:
        import requests

        with requests.Session() as session:
            # A proxy would be asked for its own loopback address.
            session.trust_env = not is_loopback(self.host)
            headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
            try:
                return session.request(
                    method, self._url + route, json=body, headers=headers, timeout=TIMEOUT_SECONDS
                )
            except requests.RequestException as error:
                raise EndpointError(
                    f"no server answers on {self._url}: {type(error).__name__}; "
                    "is it started, and is the port right?",
                    code="unreachable",
                    url=self._url,
                ) from error

    @property
    def _url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host and "[" not in self.host else self.host
        return f"http://{host}:{self.port}"
