"""Runs the host's main.py as `python main.py` would, and tells the client which nodes' functions are called.

    python _launch.py <host>/main.py --cpu ...

The host announces a node before it knows whether its inputs are lazy, blocked or good (see host_prompts.py). Just before
the call it gives its GraphBuilder the node's id; a node without any input gets no such call, but enters its context
with no list index. Both are left as they are, with a word to the client first: the event `test_called`.
"""

import runpy
import sys
from pathlib import Path


def tell(node):
    """Send `test_called` to the client whose prompt runs."""
    server = sys.modules["server"].PromptServer.instance
    if server.client_id is not None:
        server.send_sync("test_called", {"node": node, "prompt_id": server.last_prompt_id}, server.client_id)


def watch():
    """Wrap the two methods."""
    from comfy_execution.graph_utils import GraphBuilder
    from comfy_execution.utils import CurrentNodeContext

    prefix, enter = GraphBuilder.set_default_prefix.__func__, CurrentNodeContext.__enter__

    def set_default_prefix(cls, prefix_root, *others, **named):
        tell(prefix_root)
        return prefix(cls, prefix_root, *others, **named)

    def entered(self):
        if self.context.list_index is None:
            tell(self.context.node_id)
        return enter(self)

    GraphBuilder.set_default_prefix = classmethod(set_default_prefix)
    CurrentNodeContext.__enter__ = entered


if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    watch()
    runpy.run_path(sys.argv[0], run_name="__main__")
