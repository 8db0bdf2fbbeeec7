from fastapi import FastAPI
from pydantic import BaseModel


class Asked(BaseModel):
    message: str
    top_k: int


app = FastAPI()


@app.post("/chat")
def chat(asked: Asked) -> dict[str, str]:
    return {"reply": asked.message}
