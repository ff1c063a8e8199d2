"""Generate a client of an OpenAPI document, compile it strictly with a flow that uses it, and run the flow."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from support.external_programs import TOOLS, program

SECONDS = 600
_TYPESCRIPT = ("--target", "es2022", "--module", "node16", "--lib", "es2022,dom,dom.iterable", "--types", "node")
_JAVA = ("--library", "native", "--additional-properties", "openApiNullable=false")
# Without the prefix, values of two enumerations that are the same are the same name in Go.
_GO = ("--additional-properties", "packageName=v1,enumClassPrefix=true,useOneOfDiscriminatorLookup=true")


@dataclass(frozen=True)
class GeneratedClient:
    """A client of *document* in *folder*, used by a program in *flows* that runs in *environment*.

    Each method returns what the flow wrote, and skips the test where a program is missing.
    """

    document: Path
    flows: Path
    folder: Path
    environment: Mapping[str, str]

    def by_openapi_python_client(self, flow: str = "openapi_python_client_flow.py") -> str:
        tool = program("openapi-python-client")
        path = f"{Path(tool).parent}{os.pathsep}{os.environ['PATH']}"  # it formats with ruff, which is next to it
        options = ("--output-path", self.folder / "generated", "--meta", "none", "--fail-on-warning")
        self._run(tool, "generate", "--path", self.document, *options, PATH=path)
        python = Path(tool).with_name("python")
        checked = (self._copied(flow), "generated/api", "generated/models")
        # All but generated/client.py, which is the same for every document and says too little about `__exit__`.
        self._run(python, "-m", "mypy", "--strict", "--follow-imports=silent", *checked)
        return self._run(python, flow)

    def by_openapi_generator_for_python(self, flow: str = "openapi_generator_flow.py") -> str:
        self._openapi_generator("python", ".")
        python = Path(program("openapi-generator")).with_name("python")
        # The generated code has no annotations that hold under --strict; its use has.
        lenient = ("--follow-imports=silent", "--allow-untyped-calls", "--implicit-reexport")
        self._run(python, "-m", "mypy", "--strict", *lenient, self._copied(flow))
        return self._run(python, flow)

    def by_openapi_generator_for_typescript_fetch(self, flow: str = "typescript_fetch.ts") -> str:
        node = program("node")
        self._openapi_generator("typescript-fetch", "generated")
        return self._run(node, self._typescript(flow))

    def by_openapi_generator_for_java(self, flow: str = "Flow.java") -> str:
        javac, java = program("javac"), program("java")
        libraries = [program(name) for name in ("httpmime.jar", "geronimo-annotation.jar")]
        self._openapi_generator("java", "generated", *_JAVA)
        # The generator's own archive holds Jackson.
        archive = next(Path(program("openapi-generator")).parents[1].rglob("openapi-generator.jar"))
        classes = os.pathsep.join([str(archive), *libraries, "classes"])
        sources = sorted((self.folder / "generated" / "src" / "main" / "java").rglob("*.java"))
        strict = ("-Xlint:all,-processing,-classfile,-path,-serial,-deprecation", "-Werror")
        self._run(javac, *strict, "-cp", classes, "-d", "classes", *sources, self._copied(flow))
        return self._run(java, "-cp", classes, Path(flow).stem)

    def by_openapi_generator_for_go(self, flow: str = "main.go") -> str:
        go, validator = program("go"), program("validator.go")
        self._openapi_generator("go", "src/v1", *_GO)
        shutil.rmtree(self.folder / "src" / "v1" / "test")  # stubs that need one more library
        packages = os.pathsep.join([str(self.folder), str(Path(validator).parents[3])])
        build = {"GOPATH": packages, "GO111MODULE": "off", "GOCACHE": str(self.folder / "cache")}
        self._run(go, "vet", "v1", **build)
        self._run(go, "vet", self._copied(flow), **build)
        self._run(go, "build", "-o", "flow", flow, **build)
        return self._run(self.folder / "flow")

    def by_openapi_typescript(self, flow: str = "openapi_typescript.ts") -> str:
        node = program("node")
        self._run(program("openapi-typescript"), self.document, "-o", "generated/schema.d.ts")
        return self._run(node, self._typescript(flow))

    def by_orval(self, flow: str = "orval.ts") -> str:
        node = program("node")
        output = ("--output", "generated/client.ts", "--client", "fetch")
        self._run(program("orval"), "--input", self.document, *output)
        return self._run(node, self._typescript(flow))

    def _openapi_generator(self, target: str, output: str, *options: str) -> None:
        tool = program("openapi-generator")
        self._run(tool, "generate", "-i", self.document, "-g", target, "-o", output, *options)

    def _typescript(self, flow: str) -> Path:
        """Return the program that TypeScript makes of *flow* and the generated client."""
        (self.folder / "node_modules").symlink_to(TOOLS / "node_modules")
        strict = ("--strict", "--noEmitOnError", *_TYPESCRIPT, "--outDir", "out")
        self._run(program("tsc"), *strict, self._copied(flow))
        return self.folder / "out" / Path(flow).with_suffix(".js")

    def _copied(self, flow: str) -> Path:
        return Path(shutil.copy(self.flows / flow, self.folder))

    def _run(self, *command: str | Path, **environment: str) -> str:
        """Run a program in the folder; fail with what it wrote where it ends with another status than 0."""
        ended = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == 0, f"{ended.stdout}\n{ended.stderr}"
        return ended.stdout
